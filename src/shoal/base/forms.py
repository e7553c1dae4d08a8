"""Which form of B the arrays of a linear model hold: dense, sparse or in blocks."""

from __future__ import annotations

from collections.abc import Collection

from shoal.base.blocked import BlockedWeights, blocks_of, blocks_spec
from shoal.base.declared import ArraySpec, CsrSpec, Spec
from shoal.base.weights import DenseWeights, SparseWeights, Weights
from shoal.data.interactions import csr
from shoal.kernels.arrays import State

DENSE = ArraySpec("weights", ("n_items", "n_items"))
SPARSE = CsrSpec("n_items", "n_items")


def weights_spec(names: Collection[str]) -> Spec:
    """How B is declared if the arrays of a model have these names."""
    if "weights" in names:
        return (DENSE,)
    return blocks_spec(names) or (SPARSE,)


def from_state(state: State) -> Weights:
    """The weights whose arrays their `state` returned."""
    if "weights" in state:
        return DenseWeights(state["weights"])
    if blocks := blocks_of(state):
        return BlockedWeights(tuple(blocks))
    indptr = state["indptr"]
    return SparseWeights(csr(state["data"], state["indices"], indptr, len(indptr) - 1))
