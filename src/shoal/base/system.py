"""The matrix G' + diag Λ that closed-form models invert: build it, invert it, check the inverse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shoal.base.weights import DenseWeights, SharedInverse, Weights
from shoal.data.interactions import Interactions, csr
from shoal.data.size import Size
from shoal.errors import ModelError
from shoal.kernels import column_sums, gram, linear, spd
from shoal.kernels.arrays import Double, Float, Int, Long, Sparse
from shoal.run import Run, human_bytes

# takes a dense B, may change it in place, and returns facts about it
Finish: TypeAlias = Callable[[Float], dict[str, float]]

LARGEST = 1e30  # largest diagonal entry; float32 ends at 3e38, and inverses at 1e-38
TOLERANCE = 1e-2  # largest residual of an inverse in float32 before float64 is tried


def bytes_to_invert(size: Size) -> int:
    """Memory of a fit with one n × n float32 buffer, in which all is computed.

    Beside it are, while G is made, the ones of a binary X and the places of its entries by column
    (4 and 12 bytes per interaction), and while the inverse is checked, X in float64 and 16 sums of
    n numbers; and always some vectors of the users and the items.
    """
    m, n, nnz = size
    return 4 * n**2 + max(16 * nnz, 8 * nnz + 128 * n) + 64 * n + 32 * m


def squares_of(log: Interactions) -> Double:
    """G_jj, (n_items,) float64: the sum of the squared values of each item.

    For binary data it is the number of users of the item.
    """
    if log.values is None:
        return log.item_counts.astype(np.float64)
    return column_sums.sums(log.indices, log.values, log.n_items, squared=True)


def weights_of_users(indptr: Long, beta: float) -> Float:
    """d_u^−β, (n_users,) float32, for the lengths d_u of the histories; 1 for an empty one.

    `indptr` has the extents of the histories, as of `Interactions`.
    """
    lengths = np.maximum(np.diff(indptr), 1.0)
    weights: Float = (lengths**-beta).astype(np.float32)
    return weights


def gram_times(
    indptr: Long, indices: Int, values: Float | None, user_weights: Float, v: Double
) -> Double:
    """G'·v, (n_items,) float64, without making G', for the arrays of `Interactions`."""
    data = np.ones(len(indices)) if values is None else values.astype(np.float64)
    X = csr(data, indices, indptr, len(v))
    product: Double = X.T @ (user_weights * (X @ v))
    return product


def ridge_of(name: str, squares: Double, l2: float, dropout: float) -> Double:
    """Λ, (n_items,) float64, from G_jj, λ and p.

    Raises
    ------
    ModelError
        The values that were squared are too large for float32; `name` is that of the model.
    """
    ridge: Double = l2 + dropout / (1 - dropout) * squares
    if (squares + ridge).max() > LARGEST:
        raise ModelError(
            f"{name}: values whose squares add up to {squares.max():g} for an item are too large "
            "for float32: divide them by a constant"
        )
    return ridge


@dataclass(frozen=True)
class System:
    """The matrix G' + diag Λ with G' = Xᵀ diag(d_u^−β) X and Λ_j = λ + p/(1−p)·G_jj.

    Parameters
    ----------
    name : str
        Model name, for error messages and progress.
    log : Interactions
        X, with one row per user.
    ridge : (n_items,) float64
        Λ.
    user_weights : (n_users,) float32
        d_u^−β, where d_u is the length of a user's history.
    squares : (n_items,) float64
        G_jj.
    """

    name: str
    log: Interactions
    ridge: Double
    user_weights: Float
    squares: Double

    @staticmethod
    def of(name: str, log: Interactions, l2: float, dropout: float, beta: float) -> System:
        """Make the system of a log and a model's hyper-parameters.

        Parameters
        ----------
        name : str
            Model name, for error messages and progress.
        log : Interactions
        l2 : float
            λ.
        dropout : float
            p.
        beta : float
            β.

        Raises
        ------
        ModelError
            The log's values are too large for float32.
        """
        g = squares_of(log)
        ridge = ridge_of(name, g, l2, dropout)
        return System(name, log, ridge, weights_of_users(log.indptr, beta), g)

    @property
    def item_counts(self) -> Long:
        """(n_items,) users per item."""
        return self.log.item_counts

    def gram_times(self, v: Double) -> Double:
        """G'·v, (n_items,) float64, without making G'."""
        log = self.log
        return gram_times(log.indptr, log.indices, log.values, self.user_weights, v)

    def inverse(self, run: Run) -> tuple[Float, float]:
        """Invert the matrix, and check the inverse on a random vector.

        Returns
        -------
        P : (n_items, n_items) float32
            The inverse; only its upper triangle is filled.
        residual : float
            max |(G' + diag Λ)·P·v − v| for a random v of ±1. If it is above 1 % in float32 (λ is
            tiny, or items are nearly equal), the inverse is computed again in float64.

        Raises
        ------
        ModelError
            The matrix is singular even in float64, or there is no memory for float64.
        """
        inverted = self._attempt(run, np.float32)
        if inverted is not None and inverted[1] <= TOLERANCE:
            return inverted
        why = "not positive definite" if inverted is None else f"off by {inverted[1]:.1g}"
        del inverted
        need, room = self._bytes_in_float64, run.memory_budget
        if need > room:
            raise ModelError(
                f"{self.name}: λ is so small for these data that the inverse is {why} in float32, "
                f"and float64 needs {human_bytes(need)} of {human_bytes(room)}. "
                "Raise l2 (10 or more does)"
            )
        inverted = self._attempt(run, np.float64)
        if inverted is None or not inverted[1] <= TOLERANCE:
            raise ModelError(
                f"{self.name}: λ is too small for these data: the matrix cannot be inverted even "
                "in float64. Raise l2 (10 or more does)"
            )
        # the lower triangle holds meaningless numbers, which may overflow
        with np.errstate(over="ignore", invalid="ignore"):
            return inverted[0].astype(np.float32), inverted[1]

    def diagonal(self, P: Float) -> Double:
        """The diagonal of P, (n_items,) float64; `P` is what `inverse` returned."""
        return P.diagonal().astype(np.float64)

    def own_weights(
        self, P: Float, scale: Double, damping: Double, finish: Finish
    ) -> tuple[Weights, dict[str, float]]:
        """Weights of a single model, diag(damping)·(I − P·diag(scale))·diag(1/damping).

        Parameters
        ----------
        P : (n_items, n_items) float32
            What `inverse` returned. It is overwritten by the weights.
        scale : (n_items,) float64
            Λ + μ.
        damping : (n_items,) float64
            c^α.
        finish : callable
            Takes the dense weights, may change them in place, and returns facts about them.

        Returns
        -------
        weights : Weights
        facts : dict of str to float
        """
        return dense_weights(P, scale, damping, finish)

    def prepare_sharing(self, P: Float) -> None:
        """Fill both triangles of P in place, as `shared_weights` needs them."""
        linear.mirror_upper(P)

    def shared_weights(self, P: Float, scale: Double, damping: Double) -> Weights:
        """Weights as of `own_weights` that hold P itself, so that other models can hold it too."""
        return SharedInverse(P, *_float32(scale, damping, 1 / damping))

    @property
    def _matrix(self) -> tuple[Sparse, NDArray[Any], Double]:
        """The matrix to invert is Aᵀ diag(w) A + diag(d): the CSR arrays of A, then w, then d."""
        return self.log.arrays, self.user_weights, self.ridge

    @property
    def _size(self) -> int:
        """Number of rows of the matrix to invert."""
        return self.log.n_items

    @property
    def _bytes_in_float64(self) -> int:
        """Memory of this machine for an inverse in float64, and one in float32 made of it."""
        return 12 * self._size**2

    @property
    def _label(self) -> str:
        """Description of the inversion, for progress."""
        return f"{self.name}: inverse of {self._size:,} × {self._size:,}"

    def _attempt(self, run: Run, precision: Any) -> tuple[NDArray[Any], float] | None:
        """The upper triangle of the inverse and its residual, or None if Cholesky fails."""
        if run.torch_device is not None:
            return self._attempt_on_device(run, run.torch_device, precision)
        n = self._size
        P = np.empty((n, n), precision)
        with run.progress.step(f"{self.name}: Gram matrix"):
            ridge = self._write_gram(P)
        diagonal = np.einsum("ii->i", P)
        diagonal += ridge.astype(precision)
        label = self._label + ("" if precision is np.float32 else " in float64")
        with run.progress.step(label, float(n) ** 3) as step:
            try:
                spd.invert_upper(P, step.advance)
            except spd.NotPositiveDefiniteError:
                return None
        return P, self._residual(P)

    def _write_gram(self, P: NDArray[Any]) -> Double:
        """Write the upper triangle of Aᵀ diag(w) A to P, and return d; see `_matrix`."""
        arrays, weights, ridge = self._matrix
        gram.gram_upper(*arrays, weights.astype(P.dtype), P)
        return ridge

    def _attempt_on_device(
        self, run: Run, accelerator: str, precision: Any
    ) -> tuple[NDArray[Any], float] | None:
        """The same as `_attempt`, computed by an accelerator."""
        from shoal.kernels import device

        arrays, weights, ridge = self._matrix
        with run.progress.step(f"{self._label} on {accelerator}"):
            try:
                P = device.gram_inverse(
                    arrays, weights.astype(np.float32), ridge, accelerator, precision
                )
            except spd.NotPositiveDefiniteError:
                return None
        return P, self._residual(P)

    def _residual(self, P: NDArray[Any]) -> float:
        """The maximum of |(G' + diag Λ)·P·v − v| for a random v of ±1."""
        v = np.random.default_rng(0).choice([-1.0, 1.0], len(P))
        y = linear.symmetric_times(P, v)
        back = self.gram_times(y) + self.ridge * y
        return float(np.abs(back - v).max())


def dense_weights(
    P: Float, scale: Double, damping: Double, finish: Finish
) -> tuple[Weights, dict[str, float]]:
    """Weights as of `System.own_weights`, which overwrite P; its upper triangle is read."""
    linear.weights_from_inverse(P, *_float32(scale, damping, 1 / damping))
    return DenseWeights(P), finish(P)


def _float32(*vectors: Double) -> Iterator[Float]:
    return (vector.astype(np.float32) for vector in vectors)
