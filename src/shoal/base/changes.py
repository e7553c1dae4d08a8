"""What a fitted model takes on without a fit: new items by their vectors, and new rows of users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from shoal.errors import ModelError

if TYPE_CHECKING:
    from shoal.data.interactions import Interactions
    from shoal.run import Run


class Changes:
    """The part of the model contract for changes without a fit; most models refuse them.

    The families that can do it override these methods: `shoal.base.semantic` adds items,
    `shoal.base.closed_form` takes users' rows.
    """

    name: ClassVar[str]

    def add_items(self, ids: Any, vectors: Any = None, item_table: Any = None) -> Self:
        """A fitted model with new items added, without a fit; some with item vectors can do it."""
        raise ModelError(
            f"{self.name} takes new items by a fit only; l3ae and cease do not need one"
        )

    def reason_to_refit(self) -> str:
        """Why `update` cannot be used for this fitted model, and a fit is needed; "" if it can."""
        return f"{self.name} takes new users by a fit only; models such as ease can be updated"

    def update(
        self,
        log: Interactions | None,
        *,
        before: Interactions | None = None,
        run: Run | None = None,
    ) -> Self:
        """Make the model that a fit to a changed log gives, without a fit, if the model can do it.

        It is exact up to rounding, for users who are new, have changed or are removed, and for new
        items. This object is not changed.

        Parameters
        ----------
        log : Interactions or None
            *All* rows of the users who are new or have changed, as they are now, read as the
            training log was (``shoal.read(…, like=model)``). None if users are only removed.
        before : Interactions, optional
            All rows of the same users as they are in the training data. A user who is here and not
            in `log` is removed; one who is in `log` and not here is new. The model keeps no users:
            it cannot see whether a user who is said to be new was there before.
        run : Run, optional
            Threads, memory budget, progress.

        Returns
        -------
        Self
            A new fitted model. An item whose last user was removed stays in the catalogue, but is
            no longer recommended. The fingerprint is a hash of that of this model and those of the
            rows; the facts ``updates`` and ``updated_rank`` count since the last fit.

        Raises
        ------
        ModelError
            This model cannot be updated (see `reason_to_refit`), the rows to be removed cannot have
            been in the training data, or the result is not accurate enough.
        DataError
            There is no row, a value is no weight, values were read in another way than those of
            the training log, or more rows of an item are removed than there were.
        MemoryBudgetError
            The update needs more memory than the budget; nothing has been allocated.
        """
        raise ModelError(self.reason_to_refit())

    def update_pays(self, before: Interactions, after: Interactions, whole: Interactions) -> bool:
        """Whether `update` can be used and is less work than a fit, by arithmetic.

        Parameters
        ----------
        before, after : Interactions
            As `update` takes them; `shoal.data.changes.changed_users` finds them in two logs.
        whole : Interactions
            The log that a fit would take.
        """
        return False
