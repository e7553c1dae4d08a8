"""The contract that every model implements.

A model is its hyper-parameters (a frozen, validated pydantic object) plus fitted arrays. It defines
``_fit``, ``_score``, ``state`` and ``restore``, and nothing else: checking, recommending,
evaluating, explaining, saving and the command line use this class and are written once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Self, TypeAlias, cast

import numpy as np
from pydantic import ConfigDict, PrivateAttr, ValidationError

from shoal.base.catalogue import Catalogue
from shoal.base.changes import Changes
from shoal.base.costs import Costs
from shoal.base.declared import Spec
from shoal.base.hyper import hyper, readable
from shoal.base.weights import best_of_scores, in_float32
from shoal.data.accept import as_interactions
from shoal.data.checks import check_enough, check_weights
from shoal.data.facts import LogElsewhere
from shoal.data.interactions import CSR, NAME_THE_TIMES, Interactions
from shoal.errors import DataError, ModelError
from shoal.kernels.arrays import Bool, Float, Int, Ranking, Seen, State
from shoal.kernels.boosts import boost
from shoal.kernels.shifts import shift
from shoal.kernels.threads import use_threads
from shoal.run import Run
from shoal.splitting.held_out import HeldOut

__all__ = ["Ranking", "Recommender", "Search", "State", "hyper"]

# takes histories, k, seen and allowed of `Recommender.rank`, and a function that ranks exactly
Search = Callable[..., Ranking]

# validation data: held-out users for models that rank, held-out ratings for models that rate
Validation: TypeAlias = HeldOut | Interactions


class Recommender(Costs, Changes, Catalogue):
    """Base class of all models.

    A subclass is one file: its formula, its hyper-parameters (fields made with `hyper`), and the
    methods ``_fit``, ``_score``, ``state`` and ``restore``. `name` is its name on the command line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    name: ClassVar[str] = ""
    task: ClassVar[str] = "ranking"  # or "rating"
    explains: ClassVar[bool] = False  # whether it defines `contributions`
    personal: ClassVar[bool] = True  # whether its scores depend on the history
    has_vectors: ClassVar[bool] = False  # whether it defines `vectors` and `user_vectors`
    trained: ClassVar[bool] = False  # whether it is trained by gradient steps, in epochs
    deep: ClassVar[bool] = False  # whether its scores are no linear function of the history
    ordered: ClassVar[bool] = False  # whether values of histories are positions in time: 1, 2, 3, …
    reads_vectors: ClassVar[bool] = False  # whether it needs `Interactions.item_vectors`
    keeps_histories: ClassVar[bool] = False  # whether it keeps those of the log, without user ids
    # hyper-parameters in units of Xᵀ diag(d^−β) X: the weights depend on their ratio alone
    ridges: ClassVar[tuple[str, ...]] = ()
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}  # named sets of hyper-parameters
    # models whose scores this one gives, by name, with the settings of this one that do it; the
    # hyper-parameters that both have are the same
    contains: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # the arrays of `state`, besides those that the family declares
    state_arrays: ClassVar[Spec] = ()

    _search: Search | None = PrivateAttr(None)

    def __init__(self, /, **values: Any) -> None:
        preset = values.pop("preset", None)
        if preset is not None and preset not in self.presets:
            known = ", ".join(self.presets) or "none"
            raise ModelError(f"{self.name}: no preset {preset!r} (it has: {known})")
        try:
            super().__init__(**{**self.presets.get(preset, {}), **values})
        except ValidationError as error:
            raise ModelError(readable(type(self), error)) from None

    def __eq__(self, other: object) -> bool:
        return self is other  # equality by fields would ignore the fitted arrays

    __hash__ = object.__hash__

    # -- methods that a model defines ------------------------------------------------------

    @abstractmethod
    def _fit(self, interactions: Interactions, run: Run) -> None:
        """Compute the fitted arrays."""

    def _fit_validated(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        """Compute the fitted arrays; models that stop early override this and use `validation`."""
        self._fit(interactions, run)

    @abstractmethod
    def _score(self, histories: CSR) -> Float:
        """Scores of all items for each row of a CSR block, (n_histories, n_items) float32."""

    @abstractmethod
    def state(self) -> State:
        """The fitted arrays by name."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Restore the fitted arrays that `state` returned."""

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """What `state` returns if it has these names, to check a model folder; () if unknown."""
        return self.state_arrays

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """The exact amount each history item adds to the score of `item`, if a model `explains`."""
        raise ModelError(f"{self.name} has no exact reasons")

    def vectors(self) -> Float:
        """A vector for each item, (n_items, k), if the model `has_vectors`."""
        raise ModelError(f"{self.name} has no vectors; models such as elsa have")

    def user_vectors(self, histories: CSR) -> Float:
        """A vector for each history, (m, k); its product with an unseen item's is the score."""
        raise ModelError(f"{self.name} has no vectors; models such as elsa have")

    def evidence(self, history: Int, weights: Float, item: int) -> dict[str, float]:
        """The exact parts of a score by kind of evidence; empty if there is one kind only."""
        return {}

    def evidence_among(
        self, history: Int, weights: Float, items: Int, seen: Seen, allowed: Bool
    ) -> list[dict[str, float]]:
        """The same for the scores of a list, made where `seen` and `allowed` are as for `rank`."""
        return [self.evidence(history, weights, int(item)) for item in items]

    # -- methods that are the same for every model -----------------------------------------

    def fit(
        self,
        interactions: Interactions | LogElsewhere,
        validation: Validation | None = None,
        run: Run | None = None,
    ) -> Self:
        """Fit to training data.

        Parameters
        ----------
        interactions : Interactions
            Or a log that is divided among machines, for a run with an executor; or a frame, a scipy
            matrix of ones or a path, with no values whose meaning `shoal.read` would be told.
        validation : HeldOut or Interactions, optional
            For models that stop early: held-out users for models that rank
            (``split(…).validation``), held-out ratings for models that rate
            (``split_ratings(…).validation``). Other models do not use it.
        run : Run, optional
            Threads, seed, memory budget, progress.

        Returns
        -------
        Self
            The same object, fitted.

        Raises
        ------
        DataError
            A value is no weight or rating; there is only one item, or no interaction.
        MemoryBudgetError
            The fit needs more memory than the budget; nothing has been allocated.
        """
        run = run or Run()
        if not isinstance(interactions, LogElsewhere):
            interactions = as_interactions(interactions, "fit")
            self._check_validation(validation, interactions)
        elif run.executor is None:
            raise DataError("the log is divided among machines: fit with run=Run(executor=…)")
        self._search = None
        if run.executor is not None:
            return cast(Self, run.executor.fit(self, interactions, validation, run))
        assert not isinstance(interactions, LogElsewhere)
        self.check_can_fit(interactions, run)
        self._facts = {}
        with use_threads(run.threads, fit=True):
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

        A class that can share work between settings overrides this.

        Yields
        ------
        index : int
            Position in `settings`; a class may fit them in another order.
        model : Recommender
            Fitted. To save memory, drop it before asking for the next one.
        """
        for index, hyper_parameters in enumerate(settings):
            yield index, cls(**hyper_parameters).fit(interactions, validation, run)

    def check_can_fit(self, interactions: Interactions, run: Run) -> None:
        """Raise an error if the model cannot be fitted to these data within the memory budget."""
        check_enough(interactions)
        check_weights(interactions, positive=self.task == "ranking")
        self._check_order(interactions)
        if self.reads_vectors and interactions.item_vectors is None:
            raise DataError(
                f"{self.name} reads item vectors, and the log has none. Give them: --vectors FILE, "
                "as `shoal embed` writes it (shoal.read(…, vectors=…))"
            )
        self.check_budget(interactions, run.memory_budget)

    def _check_validation(self, validation: Validation | None, interactions: Interactions) -> None:
        """Raise an error if validation data are not of the kind that this model needs."""
        if validation is not None and not isinstance(validation, HeldOut):
            raise DataError(
                f"{self.name} ranks, and validates on held-out users: split with split(log)"
            )

    def histories(self, interactions: Interactions) -> CSR:
        """The histories of a log's users in the form that this model reads, (n_users, n_items).

        Entries are the log's values or 1; for an `ordered` model, positions in time 1, 2, 3, …

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
            One row per user, in the training data or not; values are weights, usually 1. For an
            `ordered` model values ascend in time; equal ones are read in the order of the items.

        Returns
        -------
        ndarray of float32, shape (n_histories, n_items)
            Ranking scores: higher is better. Their scale depends on the model.

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
        factors: Float | None = None,
        shifts: Float | None = None,
    ) -> Ranking:
        """Score every item for every history and keep the k best of each.

        Parameters
        ----------
        histories : CSR array (n_histories, n_items)
        k : int
        seen : (indptr, indices)
            Items of each row that may not be chosen, as a CSR array has them.
        allowed : (n_items,) bool
            Items that may be chosen at all.
        device : str, optional
            An accelerator (`Run.torch_device`) that the model may use.
        factors : (n_items,) float32, optional
            By how much each item is favoured (`kernels.boosts`). All scores are then computed and
            boosted before the best are chosen, without a search in an index or an accelerator.
        shifts : (n_items,) float32, optional
            What is added to the (boosted) score of each item (`kernels.shifts`), likewise.

        Returns
        -------
        items : (n_histories, k) int32, best first, −1 where fewer could be chosen
        scores : (n_histories, k) float32
        """
        block = self._checked(histories)
        try:
            if factors is not None or shifts is not None:
                scores = self._score_among(block, seen, allowed)
                if factors is not None:
                    boost(scores, factors)
                if shifts is not None:
                    shift(scores, shifts, seen, allowed)
                return best_of_scores(scores, k, seen, allowed)
            if self._search is not None:
                exact = partial(self._rank, device=device)
                return self._search(block, k, seen, allowed, exact)
            return self._rank(block, k, seen, allowed, device)
        except FloatingPointError:
            why = f"{self.name} gave a score that is not a number: fit it again"
            raise ModelError(why) from None

    def _rank(
        self, histories: CSR, k: int, seen: Seen, allowed: Bool, device: str | None
    ) -> Ranking:
        """Score all items, then select the best; a model that does both at once overrides this."""
        return best_of_scores(self._score(histories), k, seen, allowed)

    def _score_items(self, histories: CSR, items: Int) -> Float:
        """Scores of some items of each row, (m, c) float32; any number where `items` is −1.

        No item stands in the history of its row. All scores are computed, unless a model that can
        do with less overrides this.
        """
        return np.take_along_axis(self._score(histories), np.maximum(items, 0), 1)

    def _score_among(self, histories: CSR, seen: Seen, allowed: Bool) -> Float:
        """Scores of all items, if `seen` and others than `allowed` cannot be chosen."""
        return self._score(histories)

    @property
    def vector_model(self) -> Recommender:
        """The model whose vectors an index searches: this one, unless it is made of stages."""
        return self

    def item_similarities(self, items: Int) -> Float:
        """How much each of some items speaks for each other, (m, m) float32; not symmetric.

        Row j holds the scores of the items for a history of the j-th alone, unless overridden.
        """
        m, n = len(items), self.n_items
        similarities, at_once = np.empty((m, m), np.float32), max(1, 2**24 // n)
        for begin in range(0, m, at_once):
            rows = items[begin : begin + at_once]
            ones = np.ones(rows.size, np.float32), rows, np.arange(rows.size + 1)
            alone = CSR(ones, shape=(rows.size, n))
            similarities[begin : begin + at_once] = self.score(alone)[:, items]
        return similarities

    def search_with(self, search: Search | None) -> None:
        """Let `rank` use a search in an index instead of all scores; None: all scores again."""
        self._search = search

    def bytes_per_history(self, k: int) -> int:
        """Memory that `rank` takes for each history: a row of scores, unless overridden."""
        return 4 * self.n_items + 8 * k

    def _checked(self, histories: CSR) -> CSR:
        """Histories in canonical CSR form, float32; raises a DataError if they are not valid."""
        if histories.shape[1] != self.n_items:
            raise DataError(
                f"histories have {histories.shape[1]} columns, {self.name} has {self.n_items} items"
            )
        block = in_float32(histories)
        if not np.isfinite(block.data).all():
            raise DataError("a history holds a weight that is NaN or infinite")
        if not block.has_canonical_format:
            block = block.copy()
            block.sum_duplicates()
        return block

    @property
    def chosen_by_validation(self) -> tuple[str, ...]:
        """What is chosen on validation data, as no setting says it: epochs of trained parts."""
        epochs = any(
            isinstance(part, Recommender) and "n_epochs" not in part.model_fields_set
            for part in self.trained_parts()
        )
        return ("the number of epochs",) if epochs else ()

    def until_best(self) -> Self:
        """The same model, unfitted, with the best number of epochs if it is `trained`."""
        return type(self)(**self.model_dump(exclude_unset=True))

    def briefly(self, n_items: int) -> Self:
        """The same model, unfitted, for a quick fit to a log of few items, as `warm_up` does."""
        settings = self.model_dump(exclude_unset=True)
        if "factors" in settings:
            settings["factors"] = min(settings["factors"], n_items)
        return type(self)(**settings)

    def __str__(self) -> str:
        return repr(self)
