"""The training loop, and layers, losses and batches of networks on sparse rows.

Needs torch (``pip install shoal[deep]``).
"""
