"""From how many changed users on is a fit quicker than an update? Writes updates.md.

    python benchmarks/updates/run.py run                          # both sizes; about half an hour
    python benchmarks/updates/run.py run --sizes 2000 --results tried
    python benchmarks/updates/run.py render

Synthetic logs of 4 users and 300 interactions per item. Each part (a model, a size and a kind of
change) has a process of its own, and in it each update is timed beside the fit that it replaces.
`--results` names the folder of the results and of the page.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import shoal
from shoal.base.closed_form import ClosedForm
from shoal.base.update import update_pays
from shoal.models.registry import create
from shoal.run import human_bytes

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness import synthetic
from benchmarks.harness.page import short
from benchmarks.harness.results import Results, Row
from benchmarks.peers.common import peak_rss, start_peak

HERE = Path(__file__).parent
SIZES = (5_000, 10_000)  # items
USERS = (1, 10, 100, 1_000, 5_000)  # who are added, or changed
PARTS = (("ease", "added"), ("ease", "changed"), ("ease", "removed"), ("edlae", "added"))
SETTINGS: dict[str, Row] = {"ease": {"l2": 500.0}, "edlae": {"l2": 300.0, "dropout": 0.3}}
ONE = shoal.Run(threads=1)
REPEATS = 3  # of an update; the fastest counts
PATIENCE = 5.0  # seconds after which an update is not repeated
NEW_ITEMS = 3  # that a changed user has beside the old ones

HEAD = """# Updates of a model, and fits

Written by `benchmarks/updates/run.py`; no figure here is typed by hand.

    python benchmarks/updates/run.py run

Synthetic logs of 4 users and 300 interactions per item. *Added* users are new; *changed* users have
{new} more items than the model was fitted to, so that a row is removed and one added for each;
*removed* users leave. *rank* is the number of rows, and for edlae (dropout) also that of the items
whose number of users changes. *update* is `model.update(…)`, the fastest of up to {repeats}; *fit*
is a fit to the whole changed log in the same process. Both take one thread, and seconds are those
of the processor (in brackets those of the clock, which other work on the machine makes longer).
*difference* is the largest between weights of both, divided by the largest weight. *peak* is the
most that an update held beside the old model. *by arithmetic* is what `update_pays` chooses; its
costs were fitted to an earlier run of this study on the same machine, so that it agrees here is no
proof that it does elsewhere.
"""


def with_more_items(log: shoal.Interactions, rng: np.random.Generator) -> shoal.Interactions:
    """The same users with some more items each."""
    rows = [
        np.union1d(
            log.indices[log.indptr[u] : log.indptr[u + 1]],
            rng.choice(log.n_items, NEW_ITEMS, replace=False),
        ).astype(np.int32)
        for u in range(log.n_users)
    ]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return replace(log, indptr=indptr, indices=np.concatenate(rows))


def joined(*logs: shoal.Interactions) -> shoal.Interactions:
    """Logs of different users as one; their users follow each other."""
    from shoal.data.ids import Ids

    users = logs[0].users
    for log in logs[1:]:
        users = Ids.union(users, log.users)
    codes = np.concatenate([users.match(log.users)[log.user_codes] for log in logs])
    indices = np.concatenate([log.indices for log in logs])
    return shoal.Interactions.from_codes(users, logs[0].items, codes, indices)


def part(name: str, kind: str, n_items: int, most: int) -> list[Row]:
    """Updates of one model by one kind of change, for each number of users."""
    log = synthetic.log_of(synthetic.catalogue(n_items))
    first = log.n_users - most
    old = log.take_users(np.arange(first)) if kind == "added" else log
    settings = SETTINGS[name]
    tiny = synthetic.log_of(synthetic.catalogue(200))
    few = tiny.take_users(np.arange(9))
    create(name, settings).fit(tiny, run=ONE).update(
        None, before=few, run=ONE
    )  # kernels are there before
    fitted = create(name, settings).fit(old, run=ONE)
    assert isinstance(fitted, ClosedForm)
    everyone, rng = np.arange(log.n_users), np.random.default_rng(0)
    rows = []
    for users in (u for u in USERS if u <= most):
        some = np.arange(first, first + users)
        them = log.take_users(some)
        if kind == "added":
            after, before, whole = them, None, log.take_users(everyone[: first + users])
        elif kind == "changed":
            after, before = with_more_items(them, rng), them
            whole = joined(log.take_users(np.setdiff1d(everyone, some)), after)
        else:
            after, before, whole = None, them, log.take_users(np.setdiff1d(everyone, some))
        rows.append(one(fitted, after, before, whole, settings))
        rows[-1] |= {"model": name, "kind": kind, "items": n_items, "users": users}
    return rows


def one(
    fitted: ClosedForm,
    after: shoal.Interactions | None,
    before: shoal.Interactions | None,
    whole: shoal.Interactions,
    settings: Row,
) -> Row:
    """One update, beside the fit that it replaces."""
    load, durations = os.getloadavg()[0], list[tuple[float, float]]()
    updated: ClosedForm | None = None
    held, patience = start_peak(), time.perf_counter() + PATIENCE
    while not durations or (len(durations) < REPEATS and time.perf_counter() < patience):
        updated = None  # the one before does not count as memory of this one
        began, cpu = time.perf_counter(), time.process_time()
        updated = fitted.update(after, before=before, run=ONE)
        durations.append((time.process_time() - cpu, time.perf_counter() - began))
    assert updated is not None
    peak = peak_rss() - held
    began, cpu = time.perf_counter(), time.process_time()
    again = create(fitted.name, settings).fit(whole, run=ONE)
    fit_cpu, fit_seconds = time.process_time() - cpu, time.perf_counter() - began
    assert isinstance(again, ClosedForm)
    rank = int(updated.facts["updated_rank"])
    pairs = float(np.square(np.diff(whole.indptr)).sum())
    W, expected = np.asarray(updated.weights), np.asarray(again.weights)
    entries = sum(len(part) for part in (after, before) if part is not None)
    return {
        "rank": rank,
        "update_cpu_seconds": min(durations)[0],
        "update_seconds": min(durations)[1],
        "fit_cpu_seconds": fit_cpu,
        "fit_seconds": fit_seconds,
        "difference": float(np.abs(W - expected).max() / np.abs(expected).max()),
        "residual": updated.facts["residual"],
        "fit_residual": again.facts["residual"],
        "peak_bytes": peak,
        "pairs": pairs,
        "entries": entries,
        "interactions": len(whole),
        "load_before": round(load, 2),
    }


def run(results: Results, sizes: list[int], most: int) -> None:
    """Every part that is missing, each in a process of its own."""
    for n_items in sizes:
        for name, kind in PARTS:
            label = f"{name}-{kind}-{n_items:06}"
            if results.names(f"{label}-*"):
                continue
            command = [sys.executable, __file__, "part", name, kind, str(n_items), str(most)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{label}: {done.stderr[-2_000:]}")
            for row in json.loads(done.stdout.splitlines()[-1]):
                results.save(f"{label}-{row['users']:05}", row)
                taken = f"{times(row, 'update')} s, fit {times(row, 'fit')} s"
                print(label, row["users"], taken, f"{row['difference']:.1e}", flush=True)


def chosen(row: Row) -> str:
    """What `update_pays` chooses."""
    pays = update_pays(row["items"], row["rank"], row["pairs"], row["entries"])
    return "update" if pays else "fit"


def times(row: Row, what: str) -> str:
    """Seconds of the processor, and of the clock."""
    return f"{short(row[f'{what}_cpu_seconds'])} ({short(row[f'{what}_seconds'])})"


def render(results: Results) -> str:
    """The page."""
    rows = results.matching("*")
    page = HEAD.format(new=NEW_ITEMS, repeats=REPEATS)
    if not rows:
        return page + "\nNot yet run.\n"
    quicker = [
        "update" if row["update_cpu_seconds"] < row["fit_cpu_seconds"] else "fit" for row in rows
    ]
    agree = sum(chosen(row) == best for row, best in zip(rows, quicker, strict=True))
    page += (
        f"\nAll differences are at most "
        f"{max(row['difference'] for row in rows):.1e}; `update_pays` chose what was quicker in "
        f"{agree} of {len(rows)} cases.\n"
    )
    for n_items in sorted({row["items"] for row in rows}):
        here = [row for row in rows if row["items"] == n_items]
        page += (
            f"\n## {n_items:,} items, {max(row['interactions'] for row in here):,} interactions\n\n"
            "| model | users | rank | update, s | fit, s | times as fast | difference | residual "
            "(of the fit) | peak | by arithmetic |\n|---|---|---|---|---|---|---|---|---|---|\n"
        )
        for row in here:
            page += (
                f"| {row['model']} | {row['users']:,} {row['kind']} | {row['rank']:,} | "
                f"{times(row, 'update')} | {times(row, 'fit')} | "
                f"{short(row['fit_cpu_seconds'] / row['update_cpu_seconds'])} | "
                f"{row['difference']:.1e} | "
                f"{row['residual']:.0e} ({row['fit_residual']:.0e}) | "
                f"{human_bytes(row['peak_bytes'])} | {chosen(row)} |\n"
            )
    loads = [row["load_before"] for row in rows]
    return page + f"\nThe machine's load before was {min(loads):g} to {max(loads):g}.\n"


def main() -> None:
    """Run, then write the page; or one part, for the process that asked for it."""
    if sys.argv[1:2] == ["part"]:
        name, kind, n_items, most = sys.argv[2:6]
        print(json.dumps(part(name, kind, int(n_items), int(most))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "render"])
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--most", type=int, default=USERS[-1], help="most users that change")
    parser.add_argument("--results", type=Path, default=HERE)
    given = parser.parse_args()
    results = Results(given.results / "results.jsonl")
    if given.what == "run":
        run(results, [int(n) for n in given.sizes.split(",")], given.most)
    (given.results / "updates.md").write_text(render(results))


if __name__ == "__main__":
    main()
