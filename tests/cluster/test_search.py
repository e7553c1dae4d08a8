"""Searches whose trials are tasks: the same trials as here, and nothing is lost with a worker."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shoal
from shoal.cluster.local import LocalExecutor
from shoal.errors import DataError
from shoal.executor import Executor
from shoal.experiments.tuning import Budget, Searched, search, search_family
from shoal.experiments.tuning.jobs import search_in_processes
from shoal.run import Run
from shoal.splitting.held_out import Split
from shoal.testing import from_dense
from tests.cluster.killing import kills


def small_split(seed: int = 5, users: int = 200, items: int = 40) -> Split:
    """Users with tastes in a few directions, so that settings differ in their scores."""
    rng = np.random.default_rng(seed)
    taste, kinds = rng.random((users, 4)) ** 3, rng.random((4, items)) ** 3
    chance = taste @ kinds
    log = from_dense((rng.random((users, items)) < 0.5 * chance / chance.max()).astype(float))
    return shoal.split(log, "strong", test=0.2, validation=0.3)


def run_with(executor: Executor | None) -> Run:
    return Run(threads=1, executor=executor)


def tried(found: Searched) -> list[tuple[Any, ...]]:
    """What was tried and what came of it, without the time that it took."""
    return [
        (sorted(t.settings.items()), t.score, t.state, t.source, t.epochs) for t in found.trials
    ]


def searched(
    executor: Executor | None, kind: str = "item-knn", split: Split | None = None, **more: Any
) -> Searched:
    parts = split or small_split()
    return search(
        kind, parts.train, parts.validation, metric="ndcg@10", run=run_with(executor),
        **{"budget": Budget(6), "sampler": "random", **more},
    )  # fmt: skip


def test_random_trials_are_those_of_a_search_here(executor: Executor) -> None:
    assert tried(searched(executor)) == tried(searched(None))


def test_tpe_with_one_trial_at_a_time_proposes_what_it_would_here() -> None:
    there = searched(LocalExecutor(threads=1), "ease", sampler="tpe", budget=Budget(8))
    assert tried(there) == tried(searched(None, "ease", sampler="tpe", budget=Budget(8)))


def test_trainings_that_are_behind_end_early_as_here() -> None:
    more = {"fixed": {"n_epochs": 4, "factors": 8}, "budget": Budget(6)}
    here = searched(None, "elsa", **more)
    assert "pruned" in {trial.state for trial in here.trials}, "else nothing is shown"
    assert tried(searched(LocalExecutor(threads=1), "elsa", **more)) == tried(here)


def test_inverses_are_those_of_a_search_here(executor: Executor) -> None:
    """What is looked at with an inverse depends on the best so far, the inverses do not."""
    here, there = searched(None, "edlae"), searched(executor, "edlae")

    def inverses(found: Searched) -> set[tuple[Any, ...]]:
        return {(t.settings["l2"], t.settings["dropout"], t.settings["beta"]) for t in found.trials}

    assert inverses(there) == inverses(here)
    scores = {repr(sorted(t.settings.items())): t.score for t in here.trials}
    both = [(t.score, scores.get(repr(sorted(t.settings.items())))) for t in there.trials]
    assert sum(other is not None for _, other in both) >= 20
    assert all(other is None or math.isclose(one, other, abs_tol=0) for one, other in both)


def test_a_family_has_its_inverses_once_whatever_is_under_way(executor: Executor) -> None:
    parts = small_split()

    def found(executor: Executor | None) -> dict[str, set[tuple[Any, ...]]]:
        each = search_family(
            ["ease", "lae", "edlae"], parts.train, parts.validation, budget=Budget(4),
            metric="ndcg@10", sampler="random", run=run_with(executor),
        )  # fmt: skip
        return {
            name: {tuple(t.settings.get(n) for n in ("l2", "dropout", "beta")) for t in one.trials}
            for name, one in each.items()
        }

    assert found(executor) == found(None)


def test_a_catalogue_is_searched_by_its_popular_items_first(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shoal.experiments.tuning import subcatalogue

    monkeypatch.setattr(subcatalogue, "THRESHOLD", 30)
    monkeypatch.setattr(subcatalogue, "ITEMS", 20)
    more = {"fixed": {"alpha": 0.0}}  # what is looked at with an inverse does not depend on others
    here, there = searched(None, "ease", **more), searched(executor, "ease", **more)
    assert any("20 most popular" in note for note in here.notes)
    assert tried(here) == tried(there)


def test_a_study_that_was_ended_goes_on_and_tries_nothing_twice(
    executor: Executor, tmp_path: Path
) -> None:
    """Ctrl-C after three trials: those in flight are done again, and no other."""
    ended: list[str] = []

    def interrupt(trials: Any) -> None:
        ended.extend(repr(t.settings) for t in trials)
        if len(ended) == 3:
            raise KeyboardInterrupt

    more = {"storage": tmp_path / "study.sqlite"}
    with pytest.raises(KeyboardInterrupt):
        searched(executor, seen=interrupt, **more)
    whole = searched(executor, seen=interrupt, **more)
    assert len(ended) == 6
    assert sorted(map(repr, tried(whole))) == sorted(map(repr, tried(searched(None))))


def test_minutes_that_are_over_leave_what_is_tried_in_any_case(executor: Executor) -> None:
    found = searched(executor, budget=Budget(None, 1e-9))
    assert [trial.source for trial in found.trials] == ["default"]


def test_a_fit_without_room_on_a_machine_is_divided_and_not_a_trial_beside_others() -> None:
    class Small(LocalExecutor):
        divided = 0

        @property
        def memory_of_a_machine(self) -> int:
            return 1000

        @property
        def memory_of_the_largest(self) -> int:
            return 10**9

        def fit(self, *arguments: Any) -> Any:
            Small.divided += 1
            return super().fit(*arguments)

    found = searched(Small(threads=1), "ease", budget=Budget(3))
    assert Small.divided == 3
    one_by_one = searched(None, "ease", budget=Budget(3), shared=False)
    assert tried(found) == tried(one_by_one)


def test_jobs_are_processes_of_one_machine(executor: Executor) -> None:
    parts = small_split()
    with pytest.raises(DataError, match="--threads how many cores"):
        search_in_processes(
            2, kind="ease", train=parts.train, validation=parts.validation, run=run_with(executor)
        )


@pytest.mark.timeout(240)
def test_trials_whose_workers_are_killed_are_made_again_and_count_once(two_nodes: object) -> None:
    from shoal.cluster.ray_executor import RayExecutor

    more = {"split": small_split(users=900, items=150), "budget": Budget(8)}
    here = searched(None, "admm-slim", **more)
    killed: list[str] = []
    for seed in itertools.count():  # the time-out ends it, if nobody can be killed
        with kills(seed, times=5, within=0.3, task="try_proposal") as now:
            there = searched(RayExecutor(), "admm-slim", **more)
        killed += now
        assert tried(there) == tried(here)
        if len(killed) >= 8:
            break


def test_a_grid_has_the_scores_of_one_here(executor: Executor) -> None:
    """Settings that share an inverse are one task."""
    parts = small_split()
    scores = []
    for one in (None, executor):
        grid = {"l2": [10, 100], "alpha": [0.0, 0.5]}
        tuned = shoal.tune(
            "ease", parts.train, parts.validation, grid=grid, metric="ndcg@10", run=run_with(one)
        )
        scores.append([(sorted(t.settings.items()), t.score) for t in tuned.trials])
    assert len(scores[0]) == 4
    assert scores[0] == scores[1]
