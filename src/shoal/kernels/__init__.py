"""Numerics on plain arrays, by numba and BLAS; no type of shoal is used here.

Conventions: matrices are C-ordered float32; sparse matrices come as the three CSR arrays
``indptr`` (int64), ``indices`` (int32, sorted within a row) and ``data`` (float32).
"""

from shoal.kernels import environment as environment  # before any module here imports numba
