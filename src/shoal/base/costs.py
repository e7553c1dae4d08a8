"""Memory and work of a fit, as a model states them, and the refusal of a fit that is too large."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from shoal.data.size import Size
from shoal.errors import MemoryBudgetError
from shoal.run import human_bytes

if TYPE_CHECKING:
    from shoal.data.facts import LogFacts


class Costs:
    """The part of the model contract that states the memory and the work of a fit.

    A model overrides the methods for which it knows better numbers than these defaults. A `Size`
    holds the numbers of users, items and interactions of the log.
    """

    name: ClassVar[str]
    task: ClassVar[str]
    reads_vectors: ClassVar[bool]
    trained: ClassVar[bool]

    def bytes_to_fit(self, size: Size) -> int:
        """Peak memory of `fit` in bytes, beyond the log itself."""
        return 16 * (size.n_users + size.n_items)

    def bytes_taken(self, size: Size, budget: int) -> int:
        """Memory that `fit` takes if it may take `budget` bytes.

        That is `bytes_to_fit`, or more if the model can use more memory to be faster.
        """
        return self.bytes_to_fit(size)

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Amount of work of `fit`, at most, by kind of work.

        How fast a machine does each kind is measured by `shoal.experiments.speeds`.

        Parameters
        ----------
        size : Size
        n_pairs : float
            Σ_u d_u² over the lengths d_u of the histories, that is the number of ordered pairs of
            items in a common history: the multiply-adds of XᵀX.

        Returns
        -------
        dict of str to float
            "product": flops of large dense products; "inverse": n³ of an n × n inverse; "update":
            multiply-adds of one sparse row to a dense one (XᵀX by its triangle: n_pairs / 2);
            "entry": entries of X put in another order; "value": dense float32 numbers read and
            written in turn; "epoch": passes over the training data, whose time is measured by
            `shoal.experiments.rehearsal`.
        """
        return {"value": size.n_interactions}

    def trained_parts(self) -> tuple[Costs, ...]:
        """The models that a fit trains epoch by epoch: this model, or none if it does not train."""
        return (self,) if self.trained else ()

    def bytes_of_model(self, size: Size) -> int:
        """Size of the fitted arrays in bytes, at most."""
        return self.bytes_to_fit(size)

    def bytes_beside(self, data: LogFacts) -> int:
        """Memory of a fit for the item vectors of a log, which `bytes_to_fit` does not count."""
        return 0

    def bytes_for(self, data: LogFacts) -> int:
        """Peak memory of a fit to a log, its item vectors included."""
        return self.bytes_to_fit(data.size) + self.bytes_beside(data)

    def check_budget(self, data: LogFacts, budget: int) -> None:
        """Raise an error if a fit needs more memory than a budget in bytes.

        Raises
        ------
        MemoryBudgetError
            It says how much is needed, how much there is, and how many items would fit.
        """
        if why := self.refusal(data.size, budget, self.bytes_beside(data)):
            raise MemoryBudgetError(why)

    def refusal(self, size: Size, budget: int, beside: int = 0) -> str:
        """Why `fit` would refuse a log of this size, or "" if it would not.

        Parameters
        ----------
        size : Size
        budget : int
            Bytes that the fit may take.
        beside : int
            Bytes that the item vectors take, as `bytes_beside` gives them.
        """
        need = self.bytes_to_fit(size) + beside
        if need <= budget:
            return ""
        largest = self._largest_catalogue(size, budget - beside)
        room = f"With this budget it takes about {largest:,} items: d" if largest > 1 else "D"
        return (
            f"{self.name} on {size.n_items:,} items needs {human_bytes(need)}, the budget is "
            f"{human_bytes(budget)}. {room}rop rare items (--min-item-users), raise the budget "
            "(--memory), or use a model that fits: `shoal plan` lists them"
        )

    def _largest_catalogue(self, size: Size, budget: int) -> int:
        """Largest number of items with which a fit would fit the budget, by bisection."""
        low, high = 0, size.n_items
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.bytes_to_fit(size._replace(n_items=middle)) <= budget
            low, high = (middle, high) if fits else (low, middle)
        return low


def sum_of_work(*works: dict[str, float]) -> dict[str, float]:
    """Add up amounts of work by kind, as `Costs.work_to_fit` gives them."""
    kinds = dict.fromkeys(kind for work in works for kind in work)
    return {kind: sum(work.get(kind, 0) for work in works) for kind in kinds}


def left_in_heap(n_bytes: int) -> int:
    """Memory that the system's allocator keeps beside what a repeated computation takes.

    glibc keeps freed blocks of less than 32 MB for later ones, which do not always fit into them.
    So about as much as a step allocates and frees stays beside the next step's, up to that size.

    Parameters
    ----------
    n_bytes : int
        What each step allocates and frees.
    """
    return min(n_bytes, 2**25)


def coordinate_descent_work(n_items: int, n_pairs: float, l1: float) -> float:
    """Estimate the multiply-adds of coordinate descent for SLIM, to about a factor of two.

    The formula for the number of candidate items per column, and the constant, are fitted to
    synthetic logs of 1,000 to 10,000 items.

    Parameters
    ----------
    n_items : int
    n_pairs : float
        Σ_u d_u² over the lengths d_u of the histories.
    l1 : float
        SLIM's ℓ₁ penalty.
    """
    y = (n_pairs / n_items**2 / max(l1, 1e-3)) ** 1.5
    candidates = n_items * y / (y + 3.2)
    return 10 * n_items**1.5 * candidates
