"""Cells: what is measured of one model with one seed, and how it is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import shoal
from shoal.experiments.comparison import costs
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.comparison.conclude import conclude
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.comparison.measure import kind_of, measure
from shoal.models.registry import by_name, models
from shoal.run import Run
from tests.experiments.comparison.invented import cell
from tests.experiments.comparison.test_groups import log_of

ONE = Run(threads=1)
METRICS = ["ndcg@10", "recall@5:tail", "coverage@10"]


def measured(name: str, seed: int = 0, **settings: Any) -> Cell:
    split = shoal.split(log_of(), "strong", test=0.3, seed=seed)
    entrant = Entrant(name, by_name(name), settings)
    return measure(entrant, split, METRICS, ONE, seed)[0]


def test_a_cell_is_what_evaluate_says_and_what_the_fit_cost() -> None:
    split = shoal.split(log_of(), "strong", test=0.3)
    found, model = measure(Entrant("mine", by_name("ease"), {"l2": 9}), split, METRICS, ONE, 0)
    alone = shoal.evaluate(shoal.EASE(l2=9).fit(split.train, run=ONE), split.test, METRICS, ONE)
    assert {n: s.mean for n, s in found.evaluation.scores.items()} == pytest.approx(
        {n: s.mean for n, s in alone.scores.items()}, nan_ok=True
    )
    assert (found.label, found.kind, found.settings["l2"]) == ("mine", "linear", 9)
    assert found.model_bytes == sum(a.nbytes for a in model.state().values())
    assert found.peak_bytes is None or found.peak_bytes >= found.model_bytes
    assert found.fit_seconds > 0
    assert found.request_seconds is not None
    assert 0 < found.request_seconds < 5
    assert found.facts == model.facts
    assert found.history_lengths is not None
    assert found.history_lengths.tolist() == np.diff(split.test.history.indptr).tolist()


@pytest.mark.parametrize("name", ["ease", "mult-dae"])
def test_a_cell_survives_a_file(name: str, tmp_path: Path) -> None:
    settings = {}
    if name == "mult-dae":
        pytest.importorskip("torch")
        settings = {"n_epochs": 2, "factors": 4}
    one = measured(name, **settings)
    one.per_user_frame().write_parquet(tmp_path / "cell.parquet")
    (tmp_path / "cell.json").write_text(json.dumps(one.to_dict(), allow_nan=False))
    again = Cell.from_dict(
        json.loads((tmp_path / "cell.json").read_text()),
        pl.read_parquet(tmp_path / "cell.parquet"),
    )
    assert again.to_dict() == one.to_dict()
    assert_frame_equal(again.per_user_frame(), one.per_user_frame())
    assert again.evaluation.users == one.evaluation.users
    assert conclude([again]).to_dict() == conclude([one]).to_dict()
    assert len(again.curve) == (2 if name == "mult-dae" else 0)


@pytest.mark.parametrize(
    ("ids", "kind"), [(["b", "a"], "str"), ([3, 1], "int"), (["zz", "a b, c"], "str")]
)
def test_ids_of_users_keep_their_type(ids: Sequence[Any], kind: str) -> None:
    one = cell("ease", [0.1, 0.2])
    series = pl.Series(sorted(ids))
    object.__setattr__(one.evaluation, "users", type(one.evaluation.users)(series, kind))  # type: ignore[arg-type]
    again = Cell.from_dict(json.loads(json.dumps(one.to_dict())), one.per_user_frame())
    assert again.evaluation.users == one.evaluation.users


def test_a_group_without_users_survives_json() -> None:
    one = cell("ease", {"ndcg@10": [0.1], "ndcg@10:tail": [float("nan")]})
    text = json.dumps(one.to_dict(), allow_nan=False)
    again = Cell.from_dict(json.loads(text), one.per_user_frame())
    assert np.isnan(again.evaluation.scores["ndcg@10:tail"].mean)


def test_the_kinds_of_all_models() -> None:
    ranking = {name: kind() for name, kind in models().items() if kind.task == "ranking"}
    kinds = {name: kind_of(model) for name, model in ranking.items()}
    assert [name for name, kind in kinds.items() if kind == "baseline"] == ["popularity"]
    deep = {name for name, kind in kinds.items() if kind == "deep"}
    trained = {name for name, model in ranking.items() if model.trained}
    # trained in epochs, but linear in the history
    assert trained - deep == {"elsa", "compressed-elsa", "nease"}
    assert {"mult-vae", "mult-dae", "recvae", "vasp", "svae", "cdae"} <= deep
    assert not {"ease", "rdlae", "slim", "item-knn", "l3ae", "gf-cf", "two-stage"} & deep


def test_a_model_of_parts_is_deep_if_one_of_them_is() -> None:
    linear = shoal.Product("ease+item-knn", mode="ensemble")
    assert kind_of(linear) == "linear"
    assert kind_of(shoal.Product("ease+mult-dae", mode="ensemble")) == "deep"


# -- memory and time -----------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
def test_the_peak_is_what_a_block_takes_at_most_and_has_given_back() -> None:
    with costs.peak_memory() as peak:
        taken = np.ones(50_000_000 // 8)  # pages count once they are written
        del taken
        kept = np.ones(20_000_000 // 8)
    if peak.n_bytes is None:
        pytest.skip("the high-water mark cannot be set back here")
    assert kept.size
    assert 45e6 < peak.n_bytes < 80e6


def test_where_the_system_does_not_tell_the_peak_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", forbidden)
    with costs.peak_memory() as peak:
        pass
    assert peak.n_bytes is None
    assert conclude([cell("ease", [0.1, 0.2])]).entries[0].peak_bytes is None


def test_requests_are_timed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    split = shoal.split(log_of(), "strong", test=0.3)
    model = shoal.EASE(l2=9).fit(split.train, run=ONE)
    now, asked = [0.0], []

    def recommend(model: object, log: object, k: int, *, user: object, run: Run) -> None:
        asked.append((user, k, run.threads))
        now[0] += 1.0 if len(asked) % 2 else 3.0

    monkeypatch.setattr(costs, "recommend", recommend)
    monkeypatch.setattr(costs.time, "perf_counter", lambda: now[0])
    # three that are not counted, then 3, 1, 3 s: more than five seconds are over
    assert costs.request_seconds(model, split.test, Run(threads=2)) == 3.0
    assert len(asked) == 6
    assert {(k, threads) for _, k, threads in asked} == {(20, 1)}
