"""Changed model folders: an error that names the file, or a model that works; nothing else.

Models of every family are saved, and more than two thousand changed copies of their folders loaded
in processes of their own, which may not take much memory: a killed process fails the test.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import shoal
from shoal.base import dual
from shoal.models.registry import by_name
from shoal.testing.checks import random_dense
from shoal.testing.toys import from_dense, two_kinds

N_MUTATIONS = 2400
MOST_MEMORY = 12 * 10**9  # address space, of which torch reserves several gigabytes

SMALL = {
    "n_epochs": 1, "hidden": 8, "factors": 4, "depth": 2, "decoder_depth": 2, "state_size": 4,
    "embedding": 4, "pseudo_users": 5, "nonzeros": 2,
}  # fmt: skip
# one or more of each family and form of the arrays
NAMES = (
    "popularity", "ease", "item-knn", "gf-cf", "spectral-ease", "elsa", "compressed-elsa",
    "text-similarity", "ease-text", "l3ae", "add-ease", "mult-vae", "svae", "cdae", "hvamp",
    "recvae", "nease", "i-autorec", "u-autorec", "chebycf",
)  # fmt: skip


class Mutation(NamedTuple):
    """One changed folder."""

    seed: int
    model: str
    how: str
    outcome: str


def save_all(folder: Path) -> None:
    """Save a small model of each family."""
    run = shoal.Run(threads=1)
    valued = from_dense(random_dense(valued=True))
    log = from_dense(random_dense())
    log = replace(
        log,
        times=np.random.default_rng(4).permutation(len(log)),
        item_vectors=two_kinds(log.n_items),
    )
    for name in NAMES:
        kind = by_name(name)
        settings = {n: v for n, v in SMALL.items() if n in kind.model_fields}
        data = valued if kind.task == "rating" else log
        shoal.save(kind(**settings).fit(data, run=run), folder / name)
    product = by_name("product")(parts="ease+item-knn+nease(n_epochs=1)", mode="ensemble")
    shoal.save(product.fit(log, run=run), folder / "product")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dual, "chosen", lambda *_: True)
        shoal.save(shoal.EASE(l2=5).fit(valued, run=run), folder / "ease-dual")


@pytest.fixture(scope="module")
def mutations(tmp_path_factory: pytest.TempPathFactory) -> list[Mutation]:
    """What became of each changed folder."""
    folder = tmp_path_factory.mktemp("models")
    save_all(folder)
    command = [sys.executable, str(Path(__file__).with_name("mutations.py")), str(folder)]
    done = subprocess.run(
        [*command, "0", str(N_MUTATIONS)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY)),
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"killed by {lines[-1]}: {done.stderr[-2000:]}"
    pairs = zip(lines[::2], lines[1::2], strict=True)
    return [Mutation(seed, model, how, outcome) for (seed, model, how), outcome in pairs]


def test_every_changed_folder_is_refused_with_its_name_or_works(mutations: list[Mutation]) -> None:
    assert len(mutations) == N_MUTATIONS
    numbers = ("fill", "number", "bytes of arrays", "structure of arrays")
    wrong = [
        m
        for m in mutations
        if m.outcome not in ("ArtifactError", "works")
        and not (m.outcome == "not a number" and m.how.startswith(numbers))
    ]
    assert not wrong, wrong[:5]


def test_many_are_refused_and_some_work(mutations: list[Mutation]) -> None:
    outcomes = Counter(m.outcome for m in mutations)
    assert outcomes["ArtifactError"] > N_MUTATIONS / 2
    assert outcomes["works"] > N_MUTATIONS / 20  # or all would be refused, whatever they hold


def test_no_model_is_served_without_one_of_its_arrays(mutations: list[Mutation]) -> None:
    dropped = [m for m in mutations if m.how.startswith(("drop ", "rename "))]
    assert len({m.model for m in dropped}) > len(NAMES) / 2
    served = [m for m in dropped if m.outcome != "ArtifactError"]
    # values that are all 1 are not saved, so a folder without them is one of such data
    assert all("item_values" in m.how for m in served), served


def test_altered_files_are_refused_where_the_hashes_are_the_old_ones(
    mutations: list[Mutation],
) -> None:
    altered = [
        m
        for m in mutations
        if "made to fit" not in m.how and m.how.startswith(("length of", "half", "twice", "drop"))
    ]
    assert altered
    served = [m for m in altered if m.outcome != "ArtifactError"]
    assert not served
