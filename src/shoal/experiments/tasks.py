"""The two tasks of models: ranking items, and predicting ratings.

What a comparison of fitted models with held-out data needs (how to read a log, what to hold out,
what to measure) depends on the task. `task_of` chooses it once, from the model; whoever has a task
need not ask again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar, cast

from shoal import metrics as ranking_metrics
from shoal.base.recommender import Recommender, Validation
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.evaluation.evaluate import Evaluation, evaluate
from shoal.evaluation.ratings import DEFINITIONS, RatingEvaluation, evaluate_ratings
from shoal.run import Run
from shoal.splitting.held_out import Split
from shoal.splitting.ratings import (
    RATING_KINDS,
    RatingKind,
    RatingSplit,
    split_given_ratings,
    split_ratings,
)
from shoal.splitting.split import split, split_given

AnyEvaluation: TypeAlias = Evaluation | RatingEvaluation
AnySplit = TypeVar("AnySplit", Split, RatingSplit)

TENTH = 0.1  # the share that is kept apart to choose a number of epochs


@dataclass(frozen=True)
class SplitSettings:
    """What to hold out, in the words of `split` and of `split_ratings`.

    Parameters
    ----------
    kind : str, optional
        Which split; None takes the task's own.
    test, validation : float, optional
        Sizes; None takes the split's own.
    last : int
        For leave-last.
    protocol : str, optional
        A published recipe, for models that rank.
    """

    kind: str | None = None
    test: float | None = None
    validation: float | None = None
    last: int = 1
    protocol: str | None = None


class Task(ABC, Generic[AnySplit]):
    """What is read, held out and measured for a model."""

    held_out: ClassVar[str]  # what is held out, for messages: users or ratings
    reads_values: ClassVar[bool]  # whether a log must be read with its values
    chooses_metrics: ClassVar[bool]  # whether there are metrics to choose from

    def check_split(self, settings: SplitSettings) -> None:
        """Refuse settings that can never be followed, before a log is read."""

    @abstractmethod
    def split(self, log: Interactions, settings: SplitSettings, seed: int) -> AnySplit:
        """Split a log into training, validation and test data."""

    @abstractmethod
    def split_given(
        self, train: Interactions, test: Interactions, validation: float, seed: int
    ) -> AnySplit:
        """Use files that are split already; `validation` is a share of the training file."""

    @abstractmethod
    def keep_tenth_apart(self, log: Interactions, seed: int) -> tuple[Interactions, Validation]:
        """Nine tenths of a log to fit to, and one tenth to choose a number of epochs on."""

    @abstractmethod
    def metric_names(self, text: str) -> list[str]:
        """The full names of metrics that are given with commas; unknown ones are refused."""

    @abstractmethod
    def definitions(self, names: list[str]) -> dict[str, str]:
        """What each metric means, by name."""

    @abstractmethod
    def evaluate(
        self, model: Recommender, parts: AnySplit, names: list[str], run: Run
    ) -> AnyEvaluation:
        """Measure a model that was fitted to the training part on the test part."""

    @abstractmethod
    def evaluate_among_all(
        self, model: Recommender, parts: AnySplit, names: list[str], run: Run
    ) -> AnyEvaluation | None:
        """Measure it again among all items, where the test part ranks some items alone."""


class RankingTask(Task[Split]):
    """Rank items for users: users are held out, and lists are measured."""

    held_out = "users"
    reads_values = False
    chooses_metrics = True

    def split(self, log: Interactions, settings: SplitSettings, seed: int) -> Split:
        """Split with `shoal.splitting.split.split`."""
        return split(
            log,
            cast(Any, settings.kind or "strong"),  # `split` refuses a kind or protocol that is none
            seed=seed,
            test=settings.test,
            validation=settings.validation,
            last=settings.last,
            protocol=cast(Any, settings.protocol),
        )

    def split_given(
        self, train: Interactions, test: Interactions, validation: float, seed: int
    ) -> Split:
        """Split with `shoal.splitting.split.split_given`."""
        return split_given(train, test, validation=validation, seed=seed)

    def keep_tenth_apart(self, log: Interactions, seed: int) -> tuple[Interactions, Validation]:
        """Keep a tenth of the users apart."""
        parts = split(log, "strong", seed=seed, test=TENTH, validation=0)
        return parts.train, parts.test

    def metric_names(self, text: str) -> list[str]:
        """Metrics of rankings, see `shoal.metrics`."""
        return [str(ranking_metrics.parse(name)) for name in text.split(",")]

    def definitions(self, names: list[str]) -> dict[str, str]:
        """What each metric of rankings means."""
        return {name: ranking_metrics.parse(name).definition for name in names}

    def evaluate(self, model: Recommender, parts: Split, names: list[str], run: Run) -> Evaluation:
        """Measure the lists for the test users."""
        return evaluate(model, parts.test, names, run)

    def evaluate_among_all(
        self, model: Recommender, parts: Split, names: list[str], run: Run
    ) -> Evaluation | None:
        """Measure lists among all items, where the test users were to choose among some."""
        if parts.test.candidates is None:
            return None
        return evaluate(model, parts.test.among_all(), names, run)


class RatingTask(Task[RatingSplit]):
    """Predict ratings: ratings are held out, and errors are measured."""

    held_out = "ratings"
    reads_values = True
    chooses_metrics = False

    def check_split(self, settings: SplitSettings) -> None:
        """Refuse splits for models that rank."""
        if settings.protocol is not None:
            raise DataError(f"--protocol {settings.protocol} is a split for models that rank")
        if settings.kind is not None and settings.kind not in RATING_KINDS:
            raise DataError(
                f"--split {settings.kind}: ratings are split by {', '.join(RATING_KINDS)}"
            )

    def split(self, log: Interactions, settings: SplitSettings, seed: int) -> RatingSplit:
        """Split with `shoal.splitting.ratings.split_ratings`."""
        self.check_split(settings)
        kind = cast(RatingKind, settings.kind or "random")  # checked above
        sizes = {"test": settings.test, "validation": settings.validation}
        given = {name: size for name, size in sizes.items() if size is not None}
        return split_ratings(log, kind, seed=seed, **given)

    def split_given(
        self, train: Interactions, test: Interactions, validation: float, seed: int
    ) -> RatingSplit:
        """Split with `shoal.splitting.ratings.split_given_ratings`."""
        return split_given_ratings(train, test, validation=validation, seed=seed)

    def keep_tenth_apart(self, log: Interactions, seed: int) -> tuple[Interactions, Validation]:
        """Keep a tenth of the ratings apart."""
        parts = split_ratings(log, seed=seed, test=TENTH, validation=0)
        return parts.train, parts.test

    def metric_names(self, text: str) -> list[str]:
        """RMSE and MAE, whatever is given."""
        return list(DEFINITIONS)

    def definitions(self, names: list[str]) -> dict[str, str]:
        """What each error means."""
        return {name: DEFINITIONS[name] for name in names}

    def evaluate(
        self, model: Recommender, parts: RatingSplit, names: list[str], run: Run
    ) -> RatingEvaluation:
        """Measure the errors of the predicted ratings."""
        return evaluate_ratings(model, parts, run)

    def evaluate_among_all(
        self, model: Recommender, parts: RatingSplit, names: list[str], run: Run
    ) -> None:
        """Never: each held-out rating is predicted, and there is nothing to choose among."""


RANKING, RATING = RankingTask(), RatingTask()


def task_of(model: Recommender) -> Task[Any]:
    """The task of a model, fitted or not."""
    return RATING if model.task == "rating" else RANKING
