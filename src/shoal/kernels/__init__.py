"""Numerics on plain arrays: numba and BLAS. Nothing here knows a shoal type.

Conventions: matrices are C-ordered float32; sparse matrices come as the three CSR arrays
``indptr`` (int64), ``indices`` (int32, sorted within a row) and ``data`` (float32).
"""
