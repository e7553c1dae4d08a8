"""Where the settings of the next trial are from, and where what came of them is kept."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shoal.base.ranges import Space
from shoal.experiments.tuning.halving import Rule, Rungs, epochs_of, first_rung, only_told
from shoal.experiments.tuning.problem import Problem
from shoal.experiments.tuning.random import draws
from shoal.experiments.tuning.space import contains
from shoal.experiments.tuning.trials import DRAWN, Trial


@dataclass(frozen=True)
class Proposal:
    """Settings to try, and why; `handle` belongs to who proposed them."""

    settings: dict[str, Any]
    source: str = DRAWN
    handle: Any = None


@dataclass(frozen=True)
class Question:
    """What settings are asked for.

    Parameters
    ----------
    problem : Problem
    space : mapping of name to Range or Choices
        The part of the problem's space that is proposed; what is missing is found for each
        proposal by whoever tries it.
    required : tuple of Proposal
        Those that are tried in any case: the defaults first, then special cases.
    most : int or None
        How many proposals there may be, besides those of `required`.
    """

    problem: Problem
    space: Space
    required: tuple[Proposal, ...]
    most: int | None

    def key(self, settings: Mapping[str, Any]) -> str:
        """The same for proposals that would be the same trial."""
        known = self.problem.all_settings(settings)
        names = set(self.space) | {name for one in self.required for name in one.settings}
        return json.dumps({name: known[name] for name in sorted(names)}, default=str)

    @property
    def first_rung(self) -> int:
        """After how many epochs trainings are first compared (`halving`)."""
        return first_rung(epochs_of(self.problem.kind(**self.problem.fixed)))

    def is_drawable(self, settings: Mapping[str, Any]) -> bool:
        """Whether these settings could have been drawn from the space."""
        known = self.problem.all_settings(settings)
        return all(contains(values, known[name]) for name, values in self.space.items())


class Proposals(ABC):
    """Gives proposals until there are enough, and keeps the trials."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.seen: Callable[[Sequence[Trial]], None] | None = None  # told of trials when they end

    @abstractmethod
    def ask(self, *, only_required: bool = False) -> Proposal | None:
        """The next proposal; None if there are enough, or nothing is left to propose."""

    def tell(self, proposal: Proposal, trials: Sequence[Trial]) -> None:
        """Keep what came of a proposal: one trial, or several that shared its cost."""
        self._keep(proposal, trials)
        if self.seen is not None:
            self.seen(trials)

    @abstractmethod
    def _keep(self, proposal: Proposal, trials: Sequence[Trial]) -> None:
        """Keep what came of a proposal."""

    @abstractmethod
    def rivals(self, proposal: Proposal) -> Rule:
        """The rule that compares the training of a proposal with the others that were asked."""

    @abstractmethod
    def at_rungs(self) -> dict[int, list[float]]:
        """The best values of trainings so far at each rung (`halving`), by its epochs."""

    @abstractmethod
    def keep_rungs(self, proposal: Proposal, values: Mapping[int, float]) -> None:
        """Keep the values of a training at its rungs, where it was made without `rule`."""

    def rule(self, proposal: Proposal) -> Rule:
        """What may end the training of a proposal early; nothing ends one that is required."""
        rivals = self.rivals(proposal)
        return rivals if proposal.source == DRAWN else only_told(rivals)

    @abstractmethod
    def drop(self, proposal: Proposal) -> None:
        """Forget a proposal that could not be tried to its end."""

    @abstractmethod
    def claim(self, settings: Mapping[str, Any]) -> Proposal:
        """Begin a proposal that nobody asked for: what is tried with a fit for another model.

        It counts where its settings could have been proposed here.
        """

    @abstractmethod
    def has(self, settings: Mapping[str, Any]) -> bool:
        """Whether these settings were tried already."""

    @abstractmethod
    def trials(self) -> tuple[Trial, ...]:
        """All trials that were told so far, in the order in which they were proposed."""

    def seconds_before(self) -> float:
        """How long processes that have ended searched here."""
        return 0.0

    def close(self) -> None:  # noqa: B027 - where there are no files there is nothing to do
        """Let go of files."""

    @contextlib.contextmanager
    def trying(self, proposal: Proposal) -> Iterator[None]:
        """Drop a proposal if trying it raises an error or is interrupted."""
        try:
            yield
        except BaseException:
            self.drop(proposal)
            raise


@contextlib.contextmanager
def dropping(under_way: Callable[[], Iterable[tuple[Proposals, Proposal]]]) -> Iterator[None]:
    """Drop all proposals that are under way if an error or Ctrl-C ends the block."""
    try:
        yield
    except BaseException:
        for proposals, proposal in under_way():
            proposals.drop(proposal)
        raise


class Drawn(Proposals):
    """Settings drawn at random; the trials are kept in memory."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        problem = question.problem
        self._draws = draws(question.space, problem.run.seed, problem.fixed, problem.train.n_items)
        next(self._draws)  # the defaults, which are required
        self._asked: dict[int, tuple[str, Sequence[Trial]]] = {}
        self._numbers = itertools.count()
        self._counted: set[int] = set()  # besides the defaults
        self._rungs = Rungs(question.first_rung)

    def ask(self, *, only_required: bool = False) -> Proposal | None:
        """The required settings, then those drawn."""
        known = {key for key, _ in self._asked.values()}
        for required in self.question.required:
            if self.question.key(required.settings) not in known:
                return self._begun(required)
        count = 1 + len(self._counted)
        if only_required or (self.question.most is not None and count >= self.question.most):
            return None
        drawn = next(self._draws, None)
        if drawn is None:
            return None
        return self._begun(Proposal(drawn), counts=True)

    def _begun(self, proposal: Proposal, *, counts: bool = False) -> Proposal:
        number = next(self._numbers)
        if counts:
            self._counted.add(number)
        self._asked[number] = self.question.key(proposal.settings), ()
        return Proposal(proposal.settings, proposal.source, number)

    def _keep(self, proposal: Proposal, trials: Sequence[Trial]) -> None:
        self._asked[proposal.handle] = self._asked[proposal.handle][0], trials

    def rivals(self, proposal: Proposal) -> Rule:
        """The trainings of this process."""
        return self._rungs.behind

    def at_rungs(self) -> dict[int, list[float]]:
        """Those of this process."""
        return self._rungs.values()

    def keep_rungs(self, proposal: Proposal, values: Mapping[int, float]) -> None:
        """Note them."""
        for epoch, best in values.items():
            self._rungs.behind(epoch, best)

    def drop(self, proposal: Proposal) -> None:
        """Nothing is kept of it."""
        self._asked.pop(proposal.handle)
        self._counted.discard(proposal.handle)

    def claim(self, settings: Mapping[str, Any]) -> Proposal:
        """Begin it, in place of one that would be drawn."""
        counts = self.question.is_drawable(settings)
        return self._begun(Proposal(dict(settings)), counts=counts)

    def has(self, settings: Mapping[str, Any]) -> bool:
        """Whether they were asked or claimed."""
        return self.question.key(settings) in {key for key, _ in self._asked.values()}

    def trials(self) -> tuple[Trial, ...]:
        """Those told."""
        return tuple(trial for _, trials in self._asked.values() for trial in trials)


class Clock:
    """Tells when the minutes of a search are over.

    Parameters
    ----------
    minutes : float or None
        None: never.
    used : float
        Seconds that were used before.
    """

    def __init__(self, minutes: float | None, used: float = 0.0) -> None:
        now = time.monotonic()
        self._end = None if minutes is None else now + 60 * minutes - used

    @property
    def over(self) -> bool:
        """Whether no further trial may begin."""
        return self._end is not None and time.monotonic() >= self._end
