"""The work of a refresh: read, train, compare, publish, prune. It runs in a process of its own.

Both models are asked for the same: the items of a user's latest interactions, from the earlier
ones. What is honest depends on what the live model was trained on:

* if it was trained on nothing as late as what is held out, it is asked itself. Where enough has
  happened since it was trained, that alone is held out;
* otherwise it has seen the answers. Then a model with its settings is fitted to the same data as
  the candidate and is asked in its place; if the settings are the same, there is nothing to
  compare.

The candidate is fitted to what came before the cut. What is published has the same settings and is
fitted to everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from shoal.artifact import Store
from shoal.artifact.history import append_line
from shoal.artifact.locks import locked
from shoal.artifact.training import TRAINING, training_facts
from shoal.artifact.versions import Version
from shoal.base.recommender import Recommender
from shoal.data.checks import check_users
from shoal.data.interactions import Interactions
from shoal.errors import ArtifactError, DataError, ShoalError
from shoal.experiments.tuning.best_epochs import with_best_epochs
from shoal.models.registry import create
from shoal.refresh.config import Config, EvaluationPart
from shoal.refresh.data import gather
from shoal.refresh.fit import fitted_to_all
from shoal.refresh.judge import Cut, configured_cut, cut_at, scores
from shoal.refresh.outcome import Outcome
from shoal.run import Progress, Run, parse_bytes

LOCK, JOURNAL = "REFRESH", "refresh.jsonl"  # files in the store
_FIRST = "it is the first version: there is nothing to compare it with"


@dataclass
class Verdict:
    """What a comparison says.

    Parameters
    ----------
    good : bool
        Whether to publish.
    reason : str
    numbers : dict
        Fields of `Outcome` about the comparison.
    metrics : dict
        The evaluation that is kept with the version.
    fitted : Recommender or None
        The candidate, fitted to what came before the cut, and that part of the log.
    """

    good: bool
    reason: str
    numbers: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    fitted: Recommender | None = None
    before: Interactions | None = None


class Clock:
    """The seconds that each step took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        """Call a function, and note how long it took."""
        began = time.perf_counter()
        try:
            return work()
        finally:
            taken = time.perf_counter() - began
            self.seconds[name] = round(self.seconds.get(name, 0.0) + taken, 3)


def refresh(config: Config, progress: Progress, wait: float = 0.0) -> Outcome:
    """Refresh once, in this process; see `shoal.refresh.run`."""
    store = Store(config.store, create=True)
    try:
        with locked(store.path / LOCK, wait=wait, purpose="it is refreshed"):
            try:
                outcome = _refresh(config, store, progress)
                append_line(store.path / JOURNAL, outcome.to_dict())
            except ShoalError as error:
                with suppress(OSError):
                    append_line(store.path / JOURNAL, {"status": "failed", "error": str(error)})
                raise
    except OSError as error:
        if isinstance(error, ShoalError):
            raise
        raise ArtifactError(f"{store.path} could not be written ({error})") from error
    return outcome


def _refresh(config: Config, store: Store, progress: Progress) -> Outcome:
    memory = None if config.memory is None else parse_bytes(config.memory, "memory")
    run = Run(config.seed, threads=config.threads, memory=memory, progress=progress)
    unfitted, clock = config.unfitted(), Clock()
    gathered = clock.timed("read", lambda: gather(config, run))
    log: Interactions = gathered.log
    check_users(log)
    live = live_version(store)
    facts: dict[str, Any] = {
        "previous": None if live is None else live.name,
        "model": unfitted.name,
        "users": log.n_users,
        "items": log.n_items,
        "interactions": len(log),
        "events": gathered.n_events,
        "deleted_users": gathered.n_deleted,
        "notes": list(log.notes),
    }
    if live is not None and _is_same(live, unfitted, log):
        reason = "the data and the settings are those of the live version: nothing to do"
        return Outcome("unchanged", live.name, reason=reason, seconds=clock.seconds, **facts)
    verdict, unfitted = _judged(config, store, live, unfitted, log, run, clock)
    facts |= verdict.numbers
    if not verdict.good:
        version = facts["previous"]
        return Outcome("refused", version, reason=verdict.reason, seconds=clock.seconds, **facts)
    before = clock.seconds.get("fit", 0.0)
    final, rank = clock.timed(
        "fit", lambda: fitted_to_all(unfitted, verdict.fitted, verdict.before, log, run)
    )
    training = training_facts(log, clock.seconds["fit"] - before)
    metrics = {**verdict.metrics, "refresh": trained_on(log), TRAINING: training}
    with progress.step("publishing"):
        version = clock.timed(
            "publish", lambda: store.publish(final, note="refresh", metrics=metrics)
        )
        removed: list[str] = []
        try:
            removed = store.prune(config.keep)
        except ArtifactError as error:  # the new version is live all the same
            facts["notes"].append(f"old versions could not be removed: {error}")
    return Outcome(
        "published",
        version.name,
        reason=verdict.reason,
        updated_rank=rank,
        removed=removed,
        seconds=clock.seconds,
        **facts,
    )


def live_version(store: Store) -> Version | None:
    """The live version, if there is one that can be used."""
    with suppress(ArtifactError):
        version = store.version(store.current())
        return None if version.error else version
    return None


def _is_same(live: Version, unfitted: Recommender, log: Interactions) -> bool:
    """Whether a fit would give the live version again."""
    if live.model != unfitted.name or _refresh_facts(live).get("data") != log.fingerprint():
        return False
    with suppress(ShoalError):  # its parameters may be those of another shoal
        return _settings(create(live.model, live.parameters)) == _settings(unfitted)
    return False


def trained_on(log: Interactions) -> dict[str, Any]:
    """What a later refresh needs to know of the data that a version was fitted to."""
    until = None if log.times is None else float(log.times.max())
    return {
        "trained_until": until,
        "data": log.fingerprint(),
        "interactions": len(log),
        "users": log.n_users,
        "items": log.n_items,
    }


def _judged(
    config: Config,
    store: Store,
    live: Version | None,
    unfitted: Recommender,
    log: Interactions,
    run: Run,
    clock: Clock,
) -> tuple[Verdict, Recommender]:
    """The verdict, and the model to fit to everything: a deep one with its number of epochs."""
    part = config.evaluation
    if live is not None and (shrunk := _shrunk(live, log, part.least_share)):
        return Verdict(False, shrunk), unfitted
    if not part.compare:
        best = clock.timed("fit", lambda: _with_epochs(unfitted, log, run))
        return Verdict(True, "published without comparing, as evaluation.compare says"), best
    try:
        cut, unseen = _cut(log, live, part)
    except DataError as error:
        if live is not None:
            raise
        best = clock.timed("fit", lambda: _with_epochs(unfitted, log, run))
        return Verdict(True, _FIRST, {"notes": [*log.notes, f"not evaluated: {error}"]}), best
    if live is not None and cut.held_out.n_users < part.least_users:
        return Verdict(
            False,
            f"{cut.held_out.n_users:,} users have {cut.held_out.name} and some before: too few to "
            f"compare on (evaluation.least_users is {part.least_users:,}): wait for more, hold out "
            "more (evaluation.share or .days), or lower it",
        ), unfitted
    best = clock.timed("fit", lambda: _with_epochs(unfitted, cut.before, run))
    copy = create(best.name, best.model_dump(exclude_unset=True))
    candidate = clock.timed("fit", lambda: copy.fit(cut.before, None, run))

    def judge(model: Recommender) -> Any:
        return clock.timed("evaluate", lambda: scores(model, cut.held_out, part.metric, run))

    own = judge(candidate)
    numbers = {
        "metric": part.metric,
        "candidate": float(own.mean()),
        "protocol": cut.held_out.name,
        "users_compared": cut.held_out.n_users,
    }
    metrics = _metrics(own, part.metric, cut, len(log))
    verdict = Verdict(True, "", numbers, metrics, candidate, cut.before)
    if live is None:
        verdict.reason = _FIRST
        return verdict, best
    other, about = _opponent(live, store, unseen, unfitted, cut, run, clock)
    numbers["compared_with"] = about
    if other is None:
        verdict.reason = (
            "the live version has the same settings and had seen what is held out: fitted to the "
            "same data it is the same model, and the new one knows what happened since"
        )
        return verdict, best
    _decide(verdict, own, judge(other), part.margin, part.metric)
    return verdict, best


def _with_epochs(model: Recommender, log: Interactions, run: Run) -> Recommender:
    """The model with the epochs and weights that validate best, where these were not said."""
    if not model.chosen_by_validation:
        return model
    return with_best_epochs(model, log, run)


def _shrunk(live: Version, log: Interactions, least_share: float) -> str:
    """Why a log is too small beside the one that the live version was fitted to, or ""."""
    before = _refresh_facts(live).get("interactions")
    if not isinstance(before, int) or len(log) >= least_share * before:
        return ""
    return (
        f"the log has {len(log):,} interactions, and the live version was fitted to {before:,}: "
        "is a part of it missing? If not, lower evaluation.least_share"
    )


def _refresh_facts(version: Version) -> dict[str, Any]:
    facts = (version.metrics or {}).get("refresh")
    return facts if isinstance(facts, dict) else {}


def _trained_until(version: Version, log: Interactions) -> float | None:
    """The latest moment from which the live version may have learned; None if that is not known."""
    until = _refresh_facts(version).get("trained_until")
    if isinstance(until, int | float):
        return float(until)
    assert log.times is not None
    if not 3.2e8 < float(log.times.max()) < 4.1e9:  # no dates: a time of fitting says nothing
        return None
    with suppress(ValueError):
        return datetime.fromisoformat(version.created).timestamp()
    return None


def _cut(log: Interactions, live: Version | None, part: EvaluationPart) -> tuple[Cut, bool]:
    """Where to cut the log, and whether the live version has seen nothing behind the cut."""
    time_of_cut = configured_cut(log, part)
    until = None if live is None else _trained_until(live, log)
    if until is None:
        return cut_at(log, time_of_cut), False
    if until < time_of_cut:
        return cut_at(log, time_of_cut), True
    with suppress(DataError):  # nothing, or too little, has happened since it was trained
        since = cut_at(log, float(np.nextafter(until, np.inf)))
        if since.held_out.n_users >= part.least_users:
            return since, True
    return cut_at(log, time_of_cut), False


def _opponent(
    live: Version,
    store: Store,
    unseen: bool,
    unfitted: Recommender,
    cut: Cut,
    run: Run,
    clock: Clock,
) -> tuple[Recommender | None, str]:
    """The model to compare with, and what it is; None where it would be the candidate itself."""
    if unseen:
        return store.load(live.name, run), "the live version"
    old = create(live.model, live.parameters)
    about = "the live version's settings, fitted to the same data"
    if old.name == unfitted.name and _settings(old) == _settings(unfitted):
        return None, about
    return clock.timed("fit", lambda: old.fit(cut.before, None, run)), about


def _settings(model: Recommender) -> dict[str, Any]:
    """All hyper-parameters, but the number of epochs where it may be chosen by validation."""
    settings = model.model_dump()
    if model.trained:
        settings.pop("n_epochs", None)
    return settings


def _decide(verdict: Verdict, own: Any, other: Any, margin: float, metric: str) -> None:
    """Compare two models user by user, and write the decision into the verdict."""
    difference = own - other
    se = float(difference.std(ddof=1) / np.sqrt(difference.size)) if difference.size > 1 else None
    new, old = float(own.mean()), float(other.mean())
    verdict.numbers |= {"live": old, "difference": float(difference.mean()), "se": se}
    verdict.metrics["compared_with"] = {
        "what": verdict.numbers["compared_with"],
        "mean": old,
        "difference": float(difference.mean()),
        "se": se,
    }
    verdict.good = new >= old * (1 - margin)
    change = f" ({new / old - 1:+.1%})" if old else ""
    numbers = f"{metric} {new:.4f} beside {old:.4f}{change} of {verdict.numbers['compared_with']}"
    allowed = f"the margin allows {margin:.1%} less"
    verdict.reason = f"{numbers}: {'good enough' if verdict.good else 'worse'}, {allowed}"


def _metrics(own: Any, metric: str, cut: Cut, n_interactions: int) -> dict[str, Any]:
    """The evaluation of the candidate, in the form in which model folders keep it."""
    se = float(own.std(ddof=1) / np.sqrt(own.size)) if own.size > 1 else None
    return {
        "protocol": f"{cut.held_out.name}; then fitted to all {n_interactions:,} interactions",
        "users": cut.held_out.n_users,
        "users_dropped": cut.held_out.dropped,
        "metrics": {metric: {"mean": float(own.mean()), "se": se, "users": int(own.size)}},
    }
