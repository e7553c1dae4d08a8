"""``shoal multiply``: fitted models joined."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import shoal
from shoal.testing.contract import from_dense

from .test_map import Shoal

pytest.importorskip("torch")


def liked(n: int, seed: int = 0) -> shoal.Interactions:
    dense = (np.random.default_rng(seed).random((40, n)) < 0.4).astype(float)
    dense[0] = 1
    return from_dense(dense)


def test_two_folders_make_a_third(tmp_path: Path, shoal_command: Shoal) -> None:
    log = liked(12)
    ease, knn = shoal.EASE(l2=5.0).fit(log), shoal.ItemKNN(k=5).fit(log)
    for model in (ease, knn):
        shoal.save(model, tmp_path / model.name)
    code, out, err = shoal_command(
        *(
            "multiply",
            tmp_path / "ease",
            tmp_path / "item-knn",
            "--out",
            tmp_path / "both",
            "--json",
        )
    )
    assert code == 0, err
    assert json.loads(out)["parts"] == "ease(l2=5.0)+item-knn(k=5)"
    expected = -sum(np.logaddexp(0, -m.score(log.matrix)) for m in (ease, knn))
    found = shoal.load(tmp_path / "both").score(log.matrix)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_models_of_other_items_and_one_alone_are_refused(
    tmp_path: Path, shoal_command: Shoal
) -> None:
    for n in (12, 10):
        shoal.save(shoal.EASE().fit(liked(n)), tmp_path / str(n))
    code, _, err = shoal_command(
        *("multiply", tmp_path / "12", tmp_path / "10", "--out", tmp_path / "both")
    )
    assert code == 2
    assert "fit both on the same training data" in err
    assert not (tmp_path / "both").exists()
    code, _, err = shoal_command("multiply", tmp_path / "12", "--out", tmp_path / "both")
    assert code == 2
    assert "two model folders" in err
