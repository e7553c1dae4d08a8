"""``--policy``: two stages in one folder, ranges, several models, and events that count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shoal.errors import PolicyWarning

from .test_map import Shoal

TWO = """
model: {name: feed, inference_config: {retrieval_k: 12}}
policy_configs:
  embedding_policy: {policy_type: spectral-ease, factors: 6, l2: 5, event_values: [buy, cart]}
  scoring_policy: {policy_type: ease, l2: 3, event_values: [buy, cart]}
fetch: {events: SELECT 1}
"""
SEVERAL = """
training:
  models:
    - {name: mine, policy_type: ease, l2: {min: 1, max: 9, scale: log}}
    - {policy_type: rdlae}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a log of three kinds of events, and policies."""
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u:03}", f"i{100 * (u % 2) + i:03}", ("buy", "cart", "view")[int(rng.integers(3))])
        for u in range(90)
        for i in rng.choice(20, 9, replace=False)
    ]
    frame = pl.DataFrame(rows, schema=["user", "item", "event"], orient="row")
    frame.write_csv(tmp_path / "log.csv")
    (tmp_path / "two.yaml").write_text(TWO)
    (tmp_path / "several.yaml").write_text(SEVERAL)
    return tmp_path


def test_two_stages_are_one_folder(folder: Path, shoal_command: Shoal) -> None:
    model = folder / "m"
    code, out, err = shoal_command(
        *("train", folder / "log.csv", "--policy", folder / "two.yaml", "--out", model, "--json")
    )
    assert code == 0, err
    assert "not used: fetch" in err
    found = json.loads(out)
    assert found["model"] == "two-stage"
    assert found["parameters"]["candidates"] == 12
    counted = pl.read_csv(folder / "log.csv").filter(pl.col("event") != "view")
    assert found["data"]["interactions"] == counted.height
    assert shoal_command("similar", model, "i003", "-k", 3)[0] == 0
    code, out, err = shoal_command("explain", model, "i005", "--history", "i001,i002", "--json")
    assert code == 0, err
    code, exact, err = shoal_command(
        "recommend", model, "--history", "i001,i002", "-k", 5, "--json"
    )
    assert code == 0, err
    code, out, err = shoal_command(
        "rank", model, "--history", "i001", "--candidates", "i002,i003,i107", "--json"
    )
    assert code == 0, err
    code, out, err = shoal_command(
        *("evaluate", folder / "log.csv", "--policy", folder / "two.yaml", "--json"),
        *("--metrics", "ndcg@10"),
    )
    assert code == 0, err
    assert json.loads(out)["metrics"]["ndcg@10"]["mean"] > 0.2

    pytest.importorskip("faiss")
    code, out, err = shoal_command("index", model, "--log", folder / "log.csv", "--json")
    assert code == 0, err
    code, near, err = shoal_command(
        *("recommend", model, "--history", "i001,i002", "-k", 5, "--approximate", "--json")
    )
    assert code == 0, err
    # so small an index looks at every vector, so that its candidates are the exact ones
    items = [[row["item"] for row in json.loads(text)["items"]] for text in (exact, near)]
    assert items[0] == items[1]


def test_ranges_are_for_tune(folder: Path, shoal_command: Shoal) -> None:
    one = folder / "one.yaml"
    one.write_text("training: {models: [{policy_type: ease, l2: {min: 1, max: 9}}]}")
    code, _, err = shoal_command(
        "train", folder / "log.csv", "--policy", one, "--out", folder / "m"
    )
    assert code == 2
    assert "l2 is a range, not one value: `shoal tune --policy" in err
    code, out, err = shoal_command(
        *("tune", folder / "log.csv", "--policy", one, "--trials", 4, "--json"),
        *("--metric", "ndcg@10", "--metrics", "ndcg@10"),
    )
    assert code == 0, err
    trials = json.loads(out)["trials"]
    tried = [trial["settings"]["l2"] for trial in trials if trial["source"] == "drawn"]
    assert len(set(tried)) >= 2
    assert all(1 <= l2 <= 9 for l2 in tried)


def test_stages_are_tuned_and_written_down(folder: Path, shoal_command: Shoal) -> None:
    """The policy of the best holds both stages and the events, and trains as it is."""
    (folder / "p.yaml").write_text(
        TWO.replace("factors: 6", "factors: {min: 2, max: 9}").replace("l2: 3", "l2: [1, 5, 50]")
    )
    code, out, err = shoal_command(
        *("tune", folder / "log.csv", "--policy", folder / "p.yaml", "--trials", 4, "--json"),
        *("--metric", "ndcg@10", "--metrics", "ndcg@10", "--out", folder / "best.yaml"),
    )
    assert code == 0, err
    retrievers = {trial["settings"]["retriever"] for trial in json.loads(out)["trials"]}
    assert len(retrievers) > 1
    code, out, err = shoal_command(
        *("train", folder / "log.csv", "--policy", folder / "best.yaml"),
        *("--out", folder / "m", "--json"),
    )
    assert code == 0, err
    trained = json.loads(out)
    assert trained["parameters"]["retriever"] in retrievers
    counted = pl.read_csv(folder / "log.csv").filter(pl.col("event") != "view")
    assert trained["data"]["interactions"] == counted.height


def test_several_models_are_for_compare(folder: Path, shoal_command: Shoal) -> None:
    for command in ("train", "evaluate", "tune"):
        out = ("--out", folder / "m") if command == "train" else ()
        code, _, err = shoal_command(
            command, folder / "log.csv", "--policy", folder / "several.yaml", *out
        )
        assert code == 2
        assert "holds 2 models (mine, rdlae)" in err
        assert "shoal compare LOG --policies" in err


def test_compare_counts_the_events_of_policies(folder: Path, shoal_command: Shoal) -> None:
    compare = ("compare", folder / "log.csv", "--json", "--metrics", "ndcg@10")
    code, out, err = shoal_command(*compare, "--models", f"popularity,{folder / 'two.yaml'}")
    assert code == 0, err
    found = json.loads(out)
    counted = pl.read_csv(folder / "log.csv").filter(pl.col("event") != "view")
    assert found["data"]["interactions"] == counted.height
    assert {model["label"] for model in found["models"]} == {"popularity", "feed"}
    (folder / "other.yaml").write_text(
        "training: {models: [{policy_type: ease, event_values: buy}]}"
    )
    both = f"{folder / 'two.yaml'},{folder / 'other.yaml'}"
    code, out, err = shoal_command(*compare, "--models", "popularity", "--policies", both)
    assert code == 2
    assert "feed and ease have different event_values" in out + err


def test_a_key_without_meaning_is_a_warning(folder: Path, shoal_command: Shoal) -> None:
    (folder / "p.yaml").write_text(
        "policy_configs:\n  scoring_policy:\n    policy_type: ease\n    l2: 2\n    lr: 0.1\n"
    )
    with pytest.warns(PolicyWarning, match="line 5: ease is solved in closed form"):
        code, _, err = shoal_command(
            "train", folder / "log.csv", "--policy", folder / "p.yaml", "--out", folder / "m"
        )
    assert code == 0, err


def test_events_that_are_not_in_the_log(folder: Path, shoal_command: Shoal) -> None:
    (folder / "p.yaml").write_text("training: {models: [{policy_type: ease, event_values: sold}]}")
    code, _, err = shoal_command(
        "train", folder / "log.csv", "--policy", folder / "p.yaml", "--out", folder / "m"
    )
    assert code == 2
    assert "no interaction is left" in err
    assert "sold" in err
    assert not (folder / "m").exists()
