"""Closed forms: one inverse, and all models that share it, from one scoring of each user."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.frontier import graph_filters
from benchmarks.frontier.parts import FILES, PARTS, best, chosen, data_of, name_of, sample, scored
from benchmarks.frontier.settings import BLENDS, DENSE, WEIGHTS, Outer, dense_labels
from benchmarks.harness.data import CACHE
from benchmarks.harness.results import Row
from shoal.base.blending import spreads
from shoal.base.common_inverse import CommonInverse
from shoal.base.low_pass import LeadingVectors, WithLowPass
from shoal.base.weights import SharedInverse
from shoal.kernels import topk
from shoal.models.low_pass_rdlae import LowPassRDLAE
from shoal.models.rdlae import RDLAE
from shoal.run import Run
from shoal.splitting.held_out import HeldOut

K = 20
RANK = 512  # singular vectors that all low-pass filters of a log share
BLOCK = 500  # users


def settings_of(outer: Outer, inner: Row) -> Row:
    """All settings of a model."""
    return dict(zip(("l2", "dropout", "beta"), outer, strict=True)) | inner


def model_of(given: Row) -> RDLAE:
    """The model with these settings, not fitted."""
    return (LowPassRDLAE if "zeta" in given else RDLAE)(**given)


def inverse(dataset: str, part: str, outer: Outer, vectors: LeadingVectors) -> CommonInverse:
    """The inverse of a log; computed by the model's own code once, and kept."""
    train = data_of(dataset, part)[0]
    path = CACHE / "frontier" / f"{dataset}-{part}-{'-'.join(f'{x:g}' for x in outer)}.npy"
    model = RDLAE(**settings_of(outer, {}))
    if not path.exists():
        began = time.perf_counter()
        common = CommonInverse.of(model, train, Run(), vectors)
        assert common is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path.with_suffix(".new.npy"), common.P)
        path.with_suffix(".new.npy").rename(path)
        print(f"{path.name}: {time.perf_counter() - began:.0f} s", flush=True)
        return common
    system = model.system(train, Run())
    P = np.load(path, mmap_mode="r")
    return CommonInverse(P, P.diagonal().astype(np.float64), system, vectors)


def leading_vectors(dataset: str, part: str) -> LeadingVectors:
    """The singular vectors of a log; computed by the model's own code once, and kept."""
    found = LeadingVectors(data_of(dataset, part)[0], Run(), at_least=RANK)
    path = CACHE / "frontier" / f"{dataset}-{part}-vectors.npy"
    if path.exists():
        found._computed = np.load(path)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, found.of_rank(RANK))
    return found


def _blocks(held_out: HeldOut) -> Iterator[slice]:
    for begin in range(0, held_out.n_users, BLOCK):
        yield slice(begin, min(begin + BLOCK, held_out.n_users))


def measure(common: CommonInverse, given: Sequence[Row], held_out: HeldOut) -> list[Row]:
    """The metrics of several models of one inverse."""
    scalings = [common.scaling(model_of(settings)) for settings in given]
    lists = np.full((len(given), held_out.n_users, K), -1, np.int32)
    allowed = np.ones(held_out.history.n_items, np.bool_)
    matrix = held_out.history.matrix
    for users in _blocks(held_out):
        x = matrix[users]
        seen = x.indptr.astype(np.int64), x.indices.astype(np.int32)
        for index, scores in common.scores_of_unseen(x, scalings):
            lists[index, users] = topk.best(scores, K, *seen, allowed)[0]
    return [scored(lists[at], held_out) | {"given": g} for at, g in enumerate(given)]


def _measure_missing(
    dataset: str, users: str, label: str, common: Any, given: Sequence[Row], held_out: HeldOut
) -> None:
    """Measure the models that have no result yet; `common` makes the inverse if one is needed."""
    names = [name_of(dataset, users, label, g) for g in given]
    missing = [at for at, name in enumerate(names) if name not in FILES["dense"]]
    if not missing:
        return
    rows = measure(common(), [given[at] for at in missing], held_out)
    for at, row in zip(missing, rows, strict=True):
        FILES["dense"].save(names[at], row)
        print(names[at], {k: round(v["mean"], 4) for k, v in row["metrics"].items()}, flush=True)


def _with_inverse(common: CommonInverse, given: Row) -> RDLAE:
    """The model with these settings, whose weights hold the inverse."""
    model = model_of(given)
    log = common.system.log
    scale, damping = model.scaling(common.diagonal, common.system.ridge, log.item_counts)
    vectors = (v.astype(np.float32) for v in (scale, damping, 1 / damping))
    linear = SharedInverse(common.P, *vectors)
    low = model.low_pass
    model._weights = linear if low is None else WithLowPass(linear, common.vectors.filter(low))
    model.take_catalogue(log)
    return model


def blend(
    dataset: str, part: str, users: str, pair: tuple[str, str], common: CommonInverse,
    given: Sequence[Row], held_out: HeldOut,
) -> None:  # fmt: skip
    """Blends of one closed form and one filter, standardised as `blend` does it."""
    (first, second), (closed, graph) = pair, (given[0][name] for name in pair)
    label, file = f"blend({first}+{second})", FILES["dense"]
    names = [name_of(dataset, users, label, g) for g in given]
    if all(name in file for name in names):
        return
    members = [_with_inverse(common, closed), graph_filters.fitted(dataset, part, second, graph)]
    spread = spreads(members, data_of(dataset, part)[0].matrix).astype(np.float32)
    lists = np.full((len(given), held_out.n_users, K), -1, np.int32)
    allowed, matrix = np.ones(held_out.history.n_items, np.bool_), held_out.history.matrix
    for block in _blocks(held_out):
        x = matrix[block]
        seen = x.indptr.astype(np.int64), x.indices.astype(np.int32)
        dense, filtered = (m.score(x) / s for m, s in zip(members, spread, strict=True))
        for at, each in enumerate(given):
            weight = np.float32(each["weight"])
            mixed = weight * dense + (1 - weight) * filtered
            lists[at, block] = topk.best(mixed, K, *seen, allowed)[0]
    for at, name in enumerate(names):
        row = scored(lists[at], held_out) | {"given": given[at]}
        file.save(name, row)
        print(name, {k: round(v["mean"], 4) for k, v in row["metrics"].items()}, flush=True)


def _blends(dataset: str, part: str, vectors: LeadingVectors) -> None:
    """The blends of the best members on a part, with all weights, on the sample of its users."""
    held_out = sample(data_of(dataset, part)[1])
    for first, second in BLENDS[dataset]:
        closed, graph = best(dataset, part, first), best(dataset, part, second)
        if closed is None or graph is None:
            print(f"{dataset} {part}: no result of {first} or {second} yet, so no blend of them")
            continue
        common = inverse(dataset, part, outer_of(closed["given"]), vectors)
        given = [
            {first: closed["given"], second: graph["given"], "weight": weight} for weight in WEIGHTS
        ]
        blend(dataset, part, part, (first, second), common, given, held_out)


def _sweep(dataset: str, part: str, vectors: LeadingVectors, inverses: int) -> None:
    """All settings on a sample of the part."""
    held_out = sample(data_of(dataset, part)[1])
    for outer, by_label in list(DENSE[dataset].items())[:inverses]:
        kept: list[CommonInverse] = []

        def common(outer: Outer = outer, kept: list[CommonInverse] = kept) -> CommonInverse:
            kept[:] = kept or [inverse(dataset, part, outer, vectors)]
            return kept[0]

        for label, grid in by_label.items():
            given = [settings_of(outer, inner) for inner in grid]
            _measure_missing(dataset, part, label, common, given, held_out)


def outer_of(given: Row) -> Outer:
    """What decides the inverse."""
    return given["l2"], given["dropout"], given["beta"]


def run(dataset: str, inverses: int) -> None:
    """Both sweeps of the first inverses, then what they chose on all test users."""
    vectors = {}
    for part in PARTS:
        vectors[part] = leading_vectors(dataset, part)
        _sweep(dataset, part, vectors[part], inverses)
        _blends(dataset, part, vectors[part])
    held_out = data_of(dataset, "test")[1]
    for label in dense_labels(dataset):
        for given in chosen(dataset, label):
            outer = outer_of(given)
            _measure_missing(
                dataset, "all", label,
                lambda outer=outer: inverse(dataset, "test", outer, vectors["test"]),
                [given], held_out,
            )  # fmt: skip
    for first, second in BLENDS[dataset]:
        for given in chosen(dataset, f"blend({first}+{second})"):
            common = inverse(dataset, "test", outer_of(given[first]), vectors["test"])
            blend(dataset, "test", "all", (first, second), common, [given], held_out)
