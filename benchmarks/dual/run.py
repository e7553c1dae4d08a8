"""EASE solved for users on Epinions: 22,164 users × 296,277 items. Writes dual.md.

    SHOAL_DATA=… python benchmarks/dual/run.py run               # both parts; about half an hour
    SHOAL_DATA=… python benchmarks/dual/run.py run --l2 100 --users 3000 --results tried
    python benchmarks/dual/run.py render

Each fit has a process of its own, so that its peak is its own, and is added to results.jsonl as
soon as it is there; a run that was interrupted continues with what is missing. `--users` draws so
many users, to try the script; `--results` names the folder of the results and of the page.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import shoal
from shoal.base import dual
from shoal.models.registry import create
from shoal.run import human_bytes

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness import data
from benchmarks.harness.results import Results, Row
from benchmarks.peers.common import peak_rss, start_peak

HERE = Path(__file__).parent
L2 = (10.0, 30.0, 100.0, 300.0, 1000.0)  # tried on validation users
METRICS = ("ndcg@100", "recall@20", "recall@50", "ndcg@100:head", "ndcg@100:tail")
SUB_USERS, SUB_ITEMS, SUB_L2 = 3_000, 6_000, 100.0  # where both forms are fitted
RECOMMENDED, K = 10_000, 100
SCORED = 500  # histories whose scores both forms are compared by

HEAD = """# EASE where users are fewer than items

Written by `benchmarks/dual/run.py`; no figure here is typed by hand.

    SHOAL_DATA=… python benchmarks/dual/run.py run

Epinions, all ratings as interactions. *Peak* is the most that the process held during the fit, less
what it held before (the data included); *estimate* is what shoal said before the fit. Kernels are
compiled before the clock starts.
"""


def log_of(users: int) -> shoal.Interactions:
    """The log, or that of some of its users."""
    log = shoal.read(data.folder("epinions") / "interactions.parquet")
    if users:
        drawn = np.random.default_rng(0).choice(log.n_users, users, replace=False)
        log = log.take_users(drawn).without_unused()
    return log


def sub_catalogue(log: shoal.Interactions) -> shoal.Interactions:
    """Its most popular items, and some of the users who have five or more of them."""
    best = np.sort(np.argsort(-log.item_counts, kind="stable")[:SUB_ITEMS])
    log = log.onto_items(log.items.subset(best))
    enough = np.flatnonzero(np.diff(log.indptr) >= 5)
    size = min(SUB_USERS, enough.size)
    return log.take_users(np.random.default_rng(0).choice(enough, size, replace=False))


def warm_up() -> None:
    """Compile and load the kernels of both forms."""
    import polars as pl

    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"user": rng.integers(0, 60, 900), "item": rng.integers(0, 90, 900)})
    log = shoal.read(frame)
    for small in (dual.SMALL, 0):
        kept, dual.SMALL = dual.SMALL, small
        for name in ("ease", "item-knn", "popularity"):
            shoal.recommend_all(create(name).fit(log), log, 3)
        dual.SMALL = kept


def fitted(name: str, settings: Row, log: shoal.Interactions) -> tuple[Any, Row]:
    """A fitted model, and what it took."""
    estimate = create(name, settings).bytes_to_fit(log.size)
    load, before = os.getloadavg()[0], start_peak()
    began, cpu = time.perf_counter(), time.process_time()
    model = create(name, settings).fit(log)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return model, {
        "model": name,
        "given": settings,
        "users": log.n_users,
        "items": log.n_items,
        "interactions": len(log),
        "fit_seconds": seconds,
        "fit_cpu_seconds": cpu,
        "peak_bytes": peak_rss() - before,
        "estimate_bytes": estimate,
        "model_bytes": sum(a.nbytes for a in model.state().values()),
        "facts": model.facts,
        "load_before": round(load, 2),
        "cores": len(os.sched_getaffinity(0)),
    }


def one_form(users: int, form: str, kept: Path) -> Row:
    """One of the two forms on the sub-catalogue; its scores go to a file."""
    log = sub_catalogue(log_of(users))
    warm_up()
    dual.chosen = lambda *_: form == "users"
    model, row = fitted("ease", {"l2": SUB_L2}, log)
    assert model.facts.get("dual", 0) == (form == "users")
    if form == "items":  # what it says by itself is that of the cheaper form
        row["estimate_bytes"] = model._bytes_by_items(log.n_users, log.n_items, len(log))
    began = time.perf_counter()
    shoal.recommend_all(model, log, K)
    row["recommend_seconds"] = time.perf_counter() - began
    np.save(kept, model.score(log.matrix[:SCORED]))
    return row | {"form": form}


def one_model(users: int, name: str, settings: Row) -> Row:
    """One model on the whole log's split."""
    split = shoal.split(log_of(users), "strong", seed=0)
    warm_up()
    model, row = fitted(name, settings, split.train)
    assert split.validation is not None
    row["validation"] = shoal.evaluate(model, split.validation, ["ndcg@100"])["ndcg@100"]
    found = shoal.evaluate(model, split.test, list(METRICS)).to_dict()
    row |= {"metrics": found["metrics"], "test_users": found["users"]}
    some = split.train.take_users(np.arange(min(RECOMMENDED, split.train.n_users)))
    began, cpu = time.perf_counter(), time.process_time()
    shoal.recommend_all(model, some, K)
    row["recommend_seconds"] = time.perf_counter() - began
    row["recommend_cpu_seconds"] = time.process_time() - cpu
    row["recommended_users"] = some.n_users
    row["l2"] = settings.get("l2")
    return row


def in_process(results: Results, name: str, *arguments: str) -> None:
    """Run this script for one row, unless it is there."""
    if name in results:
        return
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2_000:]}")
    row = json.loads(done.stdout.splitlines()[-1])
    results.save(name, row)
    print(name, f"{row['fit_seconds']:.1f} s", row.get("validation", ""), flush=True)


def run(results: Results, users: int, l2: list[float]) -> None:
    """Every fit that is missing."""
    folder = results.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    files = {form: folder / f"scores-{form}.npy" for form in ("items", "users")}
    for form, file in files.items():
        in_process(results, f"sub-{form}", "form", form, str(file), "--users", str(users))
    if all(f.exists() for f in files.values()):
        one, other = (np.load(f) for f in files.values())
        order = [np.argsort(-s, axis=1, kind="stable")[:, :K] for s in (one, other)]
        same = [len(set(a) & set(b)) / K for a, b in zip(*order, strict=True)]
        agreement = {
            "largest_difference": float(np.abs(one - other).max() / np.abs(one).max()),
            "common": float(np.mean(same)),
            "histories": len(one),
        }
        results.save("agreement", agreement)
        for file in files.values():
            file.unlink()
    given: list[tuple[str, str, Row]] = [("popularity", "popularity", {})]
    given += [("item-knn", "item-knn", {})]
    given += [(f"ease-{v:g}", "ease", {"l2": v}) for v in l2]
    for label, name, settings in given:
        in_process(results, label, "model", name, json.dumps(settings), "--users", str(users))


def costs(row: Row) -> str:
    """Cells of what a fit took."""
    return (
        f"{row['fit_seconds']:.1f} | {row['fit_cpu_seconds']:.1f} | "
        f"{human_bytes(row['peak_bytes'])} | {human_bytes(row['estimate_bytes'])} | "
        f"{human_bytes(row['model_bytes'])} | {row['recommend_seconds']:.1f}"
    )


COSTS = "fit, s | CPU, s | peak | estimate | model | recommend, s"


def render(results: Results) -> str:
    """The page."""
    page = HEAD
    forms, models = results.matching("sub-*"), results.matching("ease-*")
    found = results.get("agreement")
    if forms and found is not None:
        first = forms[0]
        page += (
            f"\n## Both forms on a part\n\n{first['users']:,} users, the {first['items']:,} most "
            f"popular items, {first['interactions']:,} interactions, λ = {SUB_L2:g}, "
            f"{first['cores']} cores; *recommend* is top-{K} for all of them.\n\n"
            f"| solved for | {COSTS} |\n|---|---|---|---|---|---|---|\n"
        )
        page += "".join(f"| {row['form']} | {costs(row)} |\n" for row in forms)
        page += (
            f"\nScores of {found['histories']:,} histories differ by at most "
            f"{found['largest_difference']:.1e} of the largest; {found['common']:.2%} of the "
            f"top-{K} are the same.\n"
        )
    if models:
        best = max(models, key=lambda row: row["validation"])
        rows = [best, *results.matching("item-knn"), *results.matching("popularity")]
        square = human_bytes(4 * best["items"] ** 2)
        page += (
            f"\n## All of it\n\nStrong generalisation, split seed 0: {best['users']:,} "
            f"training users × {best['items']:,} items, {best['interactions']:,} interactions; "
            f"{best['test_users']:,} test users. An n × n matrix would be {square}. λ of "
            f"EASE is the one that validates best; item-knn has its defaults. *Recommend* is "
            f"top-{K} for {best['recommended_users']:,} users.\n\n"
            f"| model | {' | '.join(METRICS)} | {COSTS} |\n|---|" + "---|" * (len(METRICS) + 6)
        )
        for row in rows:
            label = row["model"] + (f", λ = {row['l2']:g}" if row["l2"] else "")
            cells = [f"{row['metrics'][m]['mean']:.4f}" for m in METRICS]
            page += f"\n| {label} | {' | '.join(cells)} | {costs(row)} |"
        page += "\n\n| λ | validation NDCG@100 | residual |\n|---|---|---|\n"
        for row in sorted(models, key=lambda row: row["l2"]):
            mark = " (chosen)" if row is best else ""
            page += f"| {row['l2']:g}{mark} | {row['validation']:.4f} | "
            page += f"{row['facts']['residual']:.1e} |\n"
    return page if forms or models else page + "\nNot yet run.\n"


def main() -> None:
    """Run, then write the page; or one row, for the process that asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "render", "form", "model"])
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--users", type=int, default=0)
    parser.add_argument("--l2", type=float, nargs="*", default=list(L2))
    parser.add_argument("--results", type=Path, default=HERE, help="folder of results and page")
    given = parser.parse_args()
    if given.part == "form":
        print(json.dumps(one_form(given.users, given.rest[0], Path(given.rest[1]))))
        return
    if given.part == "model":
        print(json.dumps(one_model(given.users, given.rest[0], json.loads(given.rest[1]))))
        return
    results = Results(given.results / "results.jsonl")
    if given.part == "run":
        run(results, given.users, given.l2)
    (given.results / "dual.md").write_text(render(results))


if __name__ == "__main__":
    main()
