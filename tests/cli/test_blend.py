"""`blend` on the command line, in a policy file, and behind the service."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from starlette.testclient import TestClient

import shoal
from shoal.service.app import create_app
from shoal.service.settings import make_settings
from shoal.testing.checks import random_dense

from .test_map import Shoal

POLICY = """
policy_configs:
  scoring_policy: {policy_type: blend, parts: ease(l2=5)+gf-cf(factors=4), weights: "3,1"}
"""
BLEND = "blend(ease(l2=5)+gf-cf(factors=4);weights=3,1)"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    users, items = random_dense(120, seed=2).nonzero()
    path = tmp_path_factory.mktemp("blend") / "log.csv"
    pl.DataFrame({"user": users, "item": items}).write_csv(path)
    return path


def test_a_blend_is_compared_by_its_text(log: Path, shoal_command: Shoal) -> None:
    chosen = "blend(ease(l2=5)+gf-cf(factors=4))"
    code, out, err = shoal_command(
        *("compare", log, "--models", f"ease,{BLEND},{chosen}", "--set", "ease.l2=5"),
        *("--metrics", "ndcg@5", "--seeds", 1, "--json"),
    )
    assert code == 0, err
    found = {entry["label"]: entry["model"] for entry in json.loads(out)["models"]}
    assert found == {"ease": "ease", BLEND: "blend", chosen: "blend"}


@pytest.mark.parametrize(
    "text", ["blend(ease+nosuch)", "blend(ease)", "blend(ease+gf-cf", "(ease)"]
)
def test_what_is_no_blend_is_refused(log: Path, shoal_command: Shoal, text: str) -> None:
    code, _, err = shoal_command("compare", log, "--models", f"ease,{text}")
    assert code == 2
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1


def test_three_ways_to_name_it_are_one(log: Path, tmp_path: Path, shoal_command: Shoal) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    ways = {
        "set": ("--model", "blend", "--set", "parts=ease(l2=5)+gf-cf(factors=4)",
                "--set", "weights=3 1"),
        "text": ("--model", BLEND),
        "policy": ("--policy", policy),
    }  # fmt: skip
    lists = []
    for way, words in ways.items():
        code, out, err = shoal_command("train", log, *words, "--out", tmp_path / way, "--json")
        assert code == 0, err
        assert json.loads(out)["facts"]["0.weight"] == 0.75
        answer = shoal.recommend(shoal.load(tmp_path / way), [0, 3, 5], 4, because=True)
        lists.append([(one.item, one.score) for one in answer])
    assert lists[0] == lists[1] == lists[2]

    app = create_app(make_settings(model=tmp_path / "set"))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        for live in app.state.service.models.values():
            assert live.first_look.wait(60)
        asked = {"history": [0, 3, 5], "k": 4, "explain": True}
        served = client.post("/v1/recommend", json=asked).json()["items"]
    assert [one["item"] for one in served] == [item for item, _ in lists[0]]
    for one, (_, score) in zip(served, lists[0], strict=True):
        assert sum(one["evidence"].values()) == pytest.approx(score, rel=1e-4)


def test_a_fit_to_everything_says_what_was_chosen(
    log: Path, tmp_path: Path, shoal_command: Shoal
) -> None:
    words = ("--model", "blend(ease(l2=5)+gf-cf(factors=4))", "--set", "metric=ndcg@5")
    code, out, err = shoal_command("train", log, *words, "--out", tmp_path / "m")
    assert code == 0, err
    assert "chosen on a tenth of the users, kept apart: the weights" in out
    weights = shoal.load(tmp_path / "m").model_dump()["weights"].split(",")
    assert sum(map(float, weights)) == pytest.approx(1)
