"""The contract: what a model is, and what it must be able to do.

A model is its hyper-parameters (a frozen, validated pydantic object) plus fitted arrays. It writes
``_fit``, ``_score``, ``state`` and ``restore``, and nothing else: checking, recommending,
evaluating, explaining, saving and the command line are written once, over this class.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from shoal.base.costs import Costs
from shoal.base.hyper import hyper, readable
from shoal.base.weights import best_of_scores
from shoal.data.ids import Ids
from shoal.data.interactions import CSR, NAME_THE_TIMES, Interactions, check_weights
from shoal.data.items import item_frame
from shoal.errors import DataError, ModelError, NotFittedError
from shoal.kernels.arrays import Bool, Float, Int, Ranking, Seen, State
from shoal.kernels.threads import use_threads
from shoal.run import Run
from shoal.splitting.held_out import HeldOut

__all__ = ["Ranking", "Recommender", "Search", "State", "hyper"]

# of (histories, k, seen, allowed), as in `Recommender.rank`, and what would rank all scores
Search = Callable[..., Ranking]

# what a fit can be judged by: held-out users (models that rank) or ratings (models that rate)
Validation: TypeAlias = HeldOut | Interactions


class Recommender(Costs, BaseModel):
    """Base of all models.

    A subclass is one file: its formula, its hyper-parameters (fields made with `hyper`), and the
    four methods below. Its name on the command line is the class attribute `name`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: ClassVar[str] = ""
    task: ClassVar[str] = "ranking"  # or "rating"
    explains: ClassVar[bool] = False  # whether `contributions` is there
    has_vectors: ClassVar[bool] = False  # whether `vectors` and `user_vectors` are there
    trained: ClassVar[bool] = False  # by gradient steps, epoch by epoch
    ordered: ClassVar[bool] = False  # values of histories are places in time: 1, 2, 3, …
    reads_vectors: ClassVar[bool] = False  # of the items, from `Interactions.item_vectors`
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # hyper-parameters by a common name

    _items: Ids | None = PrivateAttr(None)
    _item_table: pl.DataFrame | None = PrivateAttr(None)
    _users: Ids | None = PrivateAttr(None)
    _fingerprint: str = PrivateAttr("")
    _facts: dict[str, float] = PrivateAttr(default_factory=dict)
    _preparation: dict[str, Any] = PrivateAttr(default_factory=dict)
    _search: Search | None = PrivateAttr(None)

    def __init__(self, **values: Any) -> None:
        chosen = values.pop("preset", None)
        if chosen is not None and chosen not in self.presets:
            known = ", ".join(self.presets) or "none"
            raise ModelError(f"{self.name}: no preset {chosen!r} (it has: {known})")
        try:
            super().__init__(**{**self.presets.get(chosen, {}), **values})
        except ValidationError as error:
            raise ModelError(readable(type(self), error)) from None

    def __eq__(self, other: object) -> bool:
        return self is other  # fitted arrays are not compared

    __hash__ = object.__hash__

    # -- what a model writes ---------------------------------------------------------------

    @abstractmethod
    def _fit(self, interactions: Interactions, run: Run) -> None:
        """Learn the arrays."""

    def _fit_validated(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        """Learn the arrays; only models that stop early look at validation data, and override."""
        self._fit(interactions, run)

    @abstractmethod
    def _score(self, histories: CSR) -> Float:
        """Score all items for each row of a CSR block: float32 (n_histories, n_items)."""

    @abstractmethod
    def state(self) -> State:
        """Fitted arrays by name."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Take the arrays back, as `state` gave them."""

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """What each history item adds to the score of `item`, exactly; if the model `explains`."""
        raise ModelError(f"{self.name} has no exact reasons")

    def vectors(self) -> Float:
        """A vector for each item, (n_items, k); if the model `has_vectors`."""
        raise ModelError(f"{self.name} has no vectors; models such as elsa have")

    def user_vectors(self, histories: CSR) -> Float:
        """A vector for each history, (m, k): times an item's, its score, if it is not in there."""
        raise ModelError(f"{self.name} has no vectors; models such as elsa have")

    def evidence(self, history: Int, weights: Float, item: int) -> dict[str, float]:
        """What a score is made up of, by kind of evidence, exactly; empty if of one kind."""
        return {}

    def add_items(self, ids: Sequence[Any], vectors: Any, item_table: Any = None) -> Self:
        """A model of these and further items, without a fit; for some that `reads_vectors`."""
        raise ModelError(f"{self.name} takes new items by a fit only; l3ae and its kin without")

    # -- what every model has --------------------------------------------------------------

    def fit(
        self,
        interactions: Interactions,
        validation: Validation | None = None,
        run: Run | None = None,
    ) -> Self:
        """Fit to training data.

        Parameters
        ----------
        interactions : Interactions
        validation : HeldOut or Interactions, optional
            For models that stop early: held-out users for models that rank
            (``split(…).validation``), held-out ratings for models that rate
            (``split_ratings(…).validation``). Closed forms do not look at it.
        run : Run, optional
            Threads, seed, memory budget, progress.

        Returns
        -------
        Self
            The same object, fitted.

        Raises
        ------
        DataError
            Values that are NaN, infinite or negative; one item only; no interaction.
        MemoryBudgetError
            The fit would not fit into the budget; nothing has been allocated.
        """
        run = run or Run()
        self._check_validation(validation, interactions)
        self.check_can_fit(interactions, run)
        self._facts, self._search = {}, None
        with use_threads(run.threads):
            self._fit_validated(interactions, validation, run)
        self.take_catalogue(interactions)
        return self

    @classmethod
    def fit_grid(
        cls,
        settings: Sequence[Mapping[str, Any]],
        interactions: Interactions,
        validation: Validation | None = None,
        run: Run | None = None,
    ) -> Iterator[tuple[int, Recommender]]:
        """Fit a model for each of several settings, one after the other.

        A family that can share work between settings overrides this.

        Yields
        ------
        at : int
            Position in `settings`; the order is the family's.
        model : Recommender
            Fitted. Let go of it before the next one, if memory is dear.
        """
        for at, one in enumerate(settings):
            yield at, cls(**one).fit(interactions, validation, run)

    def check_can_fit(self, interactions: Interactions, run: Run) -> None:
        """Refuse data that cannot be fitted on, or that do not fit the memory budget."""
        check_weights(interactions)
        self._check_order(interactions)
        if self.reads_vectors and interactions.item_vectors is None:
            raise DataError(
                f"{self.name} reads item vectors, and the log has none. Give them: --vectors FILE, "
                "as `shoal embed` writes it (shoal.read(…, vectors=…))"
            )
        self.check_budget(interactions, run.memory_budget)

    def _check_validation(self, validation: Validation | None, interactions: Interactions) -> None:
        """Refuse validation data of another kind than this model can be judged by."""
        if validation is not None and not isinstance(validation, HeldOut):
            raise DataError(
                f"{self.name} ranks, and validates on held-out users: split with split(log)"
            )

    def take_catalogue(self, interactions: Interactions) -> None:
        """Take over the catalogue of the training data."""
        self._items = interactions.items
        self._item_table = item_frame(interactions)
        self._fingerprint = interactions.fingerprint()
        self._preparation = dict(interactions.preparation)

    def histories(self, interactions: Interactions) -> CSR:
        """A log's users as this model reads them, (n_users, n_items): values or ones, or places.

        Raises
        ------
        DataError
            The model is `ordered`, and the log has no times.
        """
        self._check_order(interactions)
        return interactions.in_order if self.ordered else interactions.matrix

    def _check_order(self, interactions: Interactions) -> None:
        if self.ordered and interactions.times is None:
            why = "reads histories in order of time, and the log has no times"
            raise DataError(f"{self.name} {why}. {NAME_THE_TIMES}")

    def score(self, histories: CSR) -> Float:
        """Score every item for every history.

        Parameters
        ----------
        histories : CSR array (n_histories, n_items)
            One row per user, known to the model or not; values are weights, usually 1. For an
            `ordered` model they ascend in time; equal ones are read in the order of the items.

        Returns
        -------
        ndarray of float32, shape (n_histories, n_items)
            Ranking scores: higher is better, and nothing more is promised.

        Raises
        ------
        NotFittedError, DataError
        """
        return self._score(self._checked(histories))

    def rank(
        self,
        histories: CSR,
        k: int,
        seen: Seen,
        allowed: Bool,
        device: str | None = None,
    ) -> Ranking:
        """Score every item for every history and keep the k best of each.

        Parameters
        ----------
        histories : CSR array (n_histories, n_items)
        k : int
        seen : (indptr, indices)
            Of a CSR array with n_histories rows: items that may not be chosen.
        allowed : (n_items,) bool
            Items that may be chosen at all.
        device : str, optional
            An accelerator (`Run.torch_device`) that the model may use.

        Returns
        -------
        items : (n_histories, k) int32, best first, −1 where fewer could be chosen
        scores : (n_histories, k) float32
        """
        block = self._checked(histories)
        try:
            if self._search is not None:
                exact = partial(self._rank, device=device)
                return self._search(block, k, seen, allowed, exact)
            return self._rank(block, k, seen, allowed, device)
        except FloatingPointError:
            raise ModelError(
                f"{self.name} gave a score that is not a number: fit it again"
            ) from None

    def _rank(
        self,
        histories: CSR,
        k: int,
        seen: Seen,
        allowed: Bool,
        device: str | None,
    ) -> Ranking:
        """Score, then select. A model that can do both at once may override this."""
        return best_of_scores(self._score(histories), k, seen, allowed)

    def search_with(self, search: Search | None) -> None:
        """Let `rank` ask this instead of making all scores (an index); None: all scores again."""
        self._search = search

    def bytes_per_history(self, k: int) -> int:
        """Memory that `rank` takes for each history: a row of scores, unless overridden."""
        return 4 * self.n_items + 8 * k

    def _checked(self, histories: CSR) -> CSR:
        if histories.shape[1] != self.n_items:
            raise DataError(
                f"histories have {histories.shape[1]} columns, {self.name} has {self.n_items} items"
            )
        block = CSR(histories, dtype=np.float32)
        if not np.isfinite(block.data).all():
            raise DataError("a history holds a weight that is NaN or infinite")
        if not block.has_canonical_format:
            block = block.copy()
            block.sum_duplicates()
        return block

    def until_best(self) -> Self:
        """The same model, unfitted, with the number of epochs that was best, if it is `trained`."""
        return type(self)(**self.model_dump(exclude_unset=True))

    def briefly(self, n_items: int) -> Self:
        """The same model, unfitted, for a quick fit to few items: `warm_up` asks for it."""
        settings = self.model_dump(exclude_unset=True)
        if "factors" in settings:
            settings["factors"] = min(settings["factors"], n_items)
        return type(self)(**settings)

    @property
    def fitted(self) -> bool:
        """Whether `fit` or `restore` has been called."""
        return self._items is not None

    @property
    def items(self) -> Ids:
        """The ids of the catalogue that the model scores."""
        if self._items is None:
            raise NotFittedError(f"{self.name} has not been fitted: call fit(interactions) first")
        return self._items

    @property
    def n_items(self) -> int:
        """Number of items scored."""
        return len(self.items)

    @property
    def item_table(self) -> pl.DataFrame:
        """One row per item: its id, and attributes such as a title."""
        if self._item_table is None:
            raise NotFittedError(f"{self.name} has not been fitted")
        return self._item_table

    @property
    def cold_items(self) -> Bool | None:
        """(n_items,) items without a training user, of models that know them by their vectors."""
        return None

    @property
    def users(self) -> Ids | None:
        """The ids of the training users, where a model keeps them (to rate)."""
        return self._users

    @property
    def fingerprint(self) -> str:
        """sha256 of the training data."""
        return self._fingerprint

    @property
    def facts(self) -> dict[str, float]:
        """What the fit found out, by name (``negative_weights``: a share, ...)."""
        return dict(self._facts)

    @property
    def preparation(self) -> dict[str, Any]:
        """How the training log was read (``min_value``, ``values``), so that others can be."""
        return dict(self._preparation)

    def restore_catalogue(
        self,
        items: Ids,
        item_table: pl.DataFrame,
        fingerprint: str,
        facts: dict[str, float],
        preparation: dict[str, Any] | None = None,
        users: Ids | None = None,
    ) -> None:
        """Take back what a model folder keeps beside the arrays."""
        self._items, self._item_table, self._users = items, item_table, users
        self._fingerprint, self._facts = fingerprint, dict(facts)
        self._preparation = dict(preparation or {})

    def __str__(self) -> str:
        return repr(self)
