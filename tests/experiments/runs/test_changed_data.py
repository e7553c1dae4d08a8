"""A run goes on only with the texts, vectors and held-out pairs that it was begun with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from shoal.experiments.comparison.measure import measure
from shoal.experiments.runs import one_cell
from tests.experiments.runs.conftest import Shoal, Written
from tests.experiments.runs.reading import only_run


def test_texts_that_have_changed_are_refused(
    experiment: Written, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = Path("items.csv")
    titles = [f"War {i % 7} in {i % 5}" for i in range(40)]
    table = pl.DataFrame({"item": range(40), "title": titles})
    table.write_csv(items)
    models = ["popularity", {"model": "add-ease", "set": {"l2": 10}}]
    data = {"file": "log.csv", "items": "items.csv", "item_id": "item", "texts": True}
    path = experiment(models=models, data=data, seeds=1)

    def interrupted(entrant: Any, *rest: Any) -> Any:
        if entrant.label != "popularity":
            raise KeyboardInterrupt
        return measure(entrant, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(one_cell, "measure", interrupted)
        assert shoal_command("run", path)[0] == 130
    table.with_columns(title=pl.lit("Love ") + pl.col("title")).write_csv(items)
    code, _, err = shoal_command("run", path)
    assert code == 2
    assert "the texts of the items of log have changed" in err
    told = json.loads((only_run() / "data.json").read_text())
    table.sample(fraction=1, shuffle=True, seed=1).write_csv(items)  # another order is no change
    del told["log"]["hashes"]["texts"]  # nor is a run of before, which has no such hash
    for content in (None, json.dumps(told)):
        if content is not None:
            (only_run() / "data.json").write_text(content)
        with monkeypatch.context() as patch:
            patch.setattr(one_cell, "measure", interrupted)
            assert shoal_command("run", path)[0] == 130


def test_vectors_that_have_changed_are_refused(
    experiment: Written, shoal_command: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pl.DataFrame({"item": range(40), "vector": [[float(i), 1.0] for i in range(40)]})
    table.write_parquet("vectors.parquet")
    path = experiment(data={"file": "log.csv", "vectors": "vectors.parquet"}, seeds=1)

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(one_cell, "measure", interrupted)
        assert shoal_command("run", path)[0] == 130
    other = table.with_columns(vector=pl.Series([[float(i), 2.0] for i in range(40)]))
    other.write_parquet("vectors.parquet")
    code, _, err = shoal_command("run", path)
    assert code == 2
    assert "the vectors of the items of log have changed" in err
    table.reverse().write_parquet("vectors.parquet")
    code, _, err = shoal_command("run", path)
    assert code == 0, err


def test_another_split_of_the_same_data_is_refused(
    experiment: Written, shoal_command: Shoal, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = experiment(split={"protocol": "mult-vae", "test": 0.2}, seeds=1)

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(one_cell, "measure", interrupted)
        assert shoal_command("run", path)[0] == 130
    frame = pl.read_csv(log)
    frame.sample(fraction=1, shuffle=True, seed=1).write_csv(log)
    code, _, err = shoal_command("run", path)
    assert code == 2
    assert "other pairs of the data log are held out" in err
    frame.write_csv(log)
    code, _, err = shoal_command("run", path)
    assert code == 0, err
