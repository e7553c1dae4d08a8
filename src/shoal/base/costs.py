"""What a fit takes by a model's own account, and what is said where it is too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from shoal.data.size import Size
from shoal.errors import MemoryBudgetError
from shoal.run import human_bytes

if TYPE_CHECKING:
    from shoal.data.interactions import Interactions


class Costs:
    """The part of the contract that says what a fit takes; a model overrides what it knows better.

    Counts are those of the log: users, items, interactions.
    """

    name: ClassVar[str]
    task: ClassVar[str]
    reads_vectors: ClassVar[bool]
    trained: ClassVar[bool]

    def bytes_to_fit(self, size: Size) -> int:
        """Memory that `fit` needs beyond the data, at its peak."""
        return 16 * (size.n_users + size.n_items)

    def bytes_taken(self, size: Size, budget: int) -> int:
        """`bytes_to_fit`, or more where a budget in bytes leaves room for what is faster."""
        return self.bytes_to_fit(size)

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """How much `fit` has to do, at most, by kind of work.

        How fast this machine does each kind is measured by `shoal.experiments.speeds`.

        Parameters
        ----------
        size : Size
        n_pairs : float
            Σ_u d_u², the ordered pairs of items that share a history: what XᵀX takes.

        Returns
        -------
        dict of str to float
            "product": flops of large dense products; "inverse": n³ of an n × n inverse; "update":
            multiply-adds of one sparse row to a dense one (XᵀX by its triangle: n_pairs / 2);
            "entry": entries of X put in another order; "value": dense float32 numbers read and
            written in turn; "epoch": passes of training, one of which is timed by rehearsal.
        """
        return {"value": size.n_interactions}

    def trained_parts(self) -> tuple[Costs, ...]:
        """The models that a fit trains epoch by epoch: the model itself, if it is `trained`."""
        return (self,) if self.trained else ()

    def bytes_of_model(self, size: Size) -> int:
        """Size of the fitted arrays, at most."""
        return self.bytes_to_fit(size)

    def bytes_beside(self, data: Interactions) -> int:
        """What a fit takes beyond `bytes_to_fit`, for item vectors of their length."""
        return 0

    def bytes_for(self, data: Interactions) -> int:
        """`bytes_to_fit` for a log, and what its item vectors take."""
        return self.bytes_to_fit(data.size) + self.bytes_beside(data)

    def check_budget(self, data: Interactions, budget: int) -> None:
        """Refuse a fit that needs more than a budget in bytes.

        Raises
        ------
        MemoryBudgetError
            With the numbers and the largest catalogue that would fit; `shoal plan` lists the models
            that do.
        """
        if why := self.refusal(data.size, budget, self.bytes_beside(data)):
            raise MemoryBudgetError(why)

    def refusal(self, size: Size, budget: int, beside: int = 0) -> str:
        """Why `fit` would refuse these counts with a budget in bytes, or "" if it would not.

        `beside` is what the item vectors take.
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
        low, high = 0, size.n_items
        while high - low > 1:
            middle = (low + high) // 2
            fits = self.bytes_to_fit(size._replace(n_items=middle)) <= budget
            low, high = (middle, high) if fits else (low, middle)
        return low


def coordinate_descent_work(n_items: int, n_pairs: float, l1: float) -> float:
    """Multiply-adds of all columns of SLIM, guessed from counts alone, to about a factor of two.

    The share of candidates and the constant are fitted to synthetic logs of 1,000 to 10,000 items.
    """
    y = (n_pairs / n_items**2 / max(l1, 1e-3)) ** 1.5
    candidates = n_items * y / (y + 3.2)
    return 10 * n_items**1.5 * candidates
