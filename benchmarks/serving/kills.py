"""Is a store whole after its publisher was killed at any moment? Writes kills.md.

    python benchmarks/serving/kills.py run --kills 400     # about five minutes, then the page
    python benchmarks/serving/kills.py render              # the page, from the results
    python benchmarks/serving/kills.py kill store FOLDER --kills 30    # a few, printed as JSON

A process publishes two models in turns without pause, prunes the store now and then, and is killed
(SIGKILL) after a random time. It says on a pipe when it begins to publish and when that has
returned: a kill in between is proven to have hit a publication. After each kill every byte of every
version is hashed, and the pointer must name a version that is there and is not older than the last
one whose publication had returned. The control does the same to a folder that is copied over in
place, as `cp -r` does.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row
from shoal.artifact import Store, load, verify
from shoal.errors import ArtifactError

HERE = Path(__file__).parent
RESULTS = Results(HERE / "kills.jsonl")
ITEMS = 400  # of the models: 0.64 MB each
KEEP = 3  # versions that are left when the publisher prunes

HEAD = """# A publisher that is killed at any moment

Written by `benchmarks/serving/kills.py`; no figure here is typed by hand.

    python benchmarks/serving/kills.py run --kills {kills}

A process publishes two models of {items} items ({megabytes:.2f} MB each) to a store in turns,
without pause, prunes the store now and then, and is killed (SIGKILL) after a random time. A kill is
*within a publication* if the process had said that it began one and not yet that it returned.
After each kill all files of all versions are hashed. *Lost*: the pointer names an older version
than the last one whose publication had returned. The control copies the same models over one folder
in place.

| written as | kills | within a publication | with unfinished files left | corrupt | lost |
|---|---|---|---|---|---|
"""


def make_models(place: Path) -> None:
    """Write two models that differ in all their numbers, in a process of its own.

    The process that forks publishers must not have used polars.
    """
    if os.fork():
        if os.wait()[1]:
            raise SystemExit("the models could not be made")
        return
    import polars as pl

    import shoal

    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 300, 9_000), rng.integers(0, ITEMS, 9_000)
    everyone = np.arange(ITEMS)
    log = shoal.read(
        pl.DataFrame(
            {"user": np.r_[users, everyone % 300], "item": np.r_[items, everyone]},
        )
    )
    for number, l2 in enumerate((10.0, 500.0)):
        shoal.save(shoal.EASE(l2=l2).fit(log, run=shoal.Run(threads=1)), place / f"model-{number}")
    os._exit(0)


def publish_without_pause(place: Path, say: Callable[[bytes], object]) -> None:
    """Publish to a store in turns until killed."""
    models = [load(place / f"model-{number}") for number in (0, 1)]
    store = Store(place / "store", create=True)
    for turn in range(10**9):
        say(b"begin\n")
        version = store.publish(models[turn % 2])
        say(f"end {version.name}\n".encode())
        if turn % 3 == 2:
            store.prune(KEEP)


def copy_without_pause(place: Path, say: Callable[[bytes], object]) -> None:
    """Copy over a folder in turns until killed."""
    for turn in range(10**9):
        say(b"begin\n")
        shutil.copytree(place / f"model-{turn % 2}", place / "plain", dirs_exist_ok=True)
        say(b"end copy\n")


def store_is_whole(place: Path, returned: str) -> tuple[bool, bool]:
    """Whether every version is whole and one is live, and whether it is not older than that."""
    store = Store(place / "store")
    try:
        name = store.current()
        versions = store.versions(verify=True)
    except ArtifactError:
        return False, False
    whole = all(not v.error for v in versions) and any(v.live for v in versions)
    return whole, name >= returned


def copy_is_whole(place: Path, returned: str) -> tuple[bool, bool]:
    """Whether the folder that is copied over is a whole model."""
    try:
        verify(place / "plain")
    except ArtifactError:
        return False, True
    return True, True


def kill(how: str, place: Path, n_kills: int, seed: int = 0) -> Row:
    """Kill so many publishers, and count what was hit and what was broken."""
    publish, is_whole = {
        "store": (publish_without_pause, store_is_whole),
        "plain": (copy_without_pause, copy_is_whole),
    }[how]
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "model-1").exists():
        make_models(place)
    rng = random.Random(seed)  # noqa: S311
    usual = 0.02  # seconds of a publication, until some have been timed
    within = unfinished = corrupt = lost = 0
    returned = ""
    for _ in range(n_kills):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            publish(place, partial(os.write, writing))
            os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as said:
            said.readline()
            began = time.perf_counter()
            if not returned:  # something must be there before the first kill
                returned = said.readline().split()[1].decode()
                usual = max(time.perf_counter() - began, 0.001)
            time.sleep(rng.uniform(0, 3 * usual))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            lines = said.read().decode().splitlines()
        ended = [line.split()[1] for line in lines if line.startswith("end")]
        returned = ended[-1] if ended else returned
        hit = not lines or lines[-1] == "begin"
        within += hit
        unfinished += hit and any((place / "store").glob(f".*-{pid}-*.new"))
        whole, recent = is_whole(place, returned)
        corrupt += not whole
        lost += whole and not recent
    return {
        "kills": n_kills,
        "within": within,
        "unfinished": unfinished,
        "corrupt": corrupt,
        "lost": lost,
        "bytes": sum(p.stat().st_size for p in (place / "model-0").iterdir()),
    }


def render() -> str:
    """The page."""
    store = RESULTS.get("store") or {}
    page = HEAD.format(kills=store["kills"], items=ITEMS, megabytes=store["bytes"] / 1e6)
    names = {"store": "a version in a store", "plain": "a copy in place (control)"}
    for how, name in names.items():
        row = RESULTS.get(how) or {}
        counts = [row[k] for k in ("kills", "within", "unfinished", "corrupt", "lost")]
        page += f"| {name} | {' | '.join(map(str, counts))} |\n"
    return page


def main() -> None:
    """Kill, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    some = parts.add_parser("kill")
    some.add_argument("how", choices=["store", "plain"])
    some.add_argument("folder", type=Path)
    some.add_argument("--kills", type=int, default=30)
    parts.add_parser("run").add_argument("--kills", type=int, default=400)
    parts.add_parser("render")
    given = parser.parse_args()
    if given.part == "kill":
        print(json.dumps(kill(given.how, given.folder, given.kills)))
        return
    if given.part == "run":
        for how in ("store", "plain"):
            with tempfile.TemporaryDirectory() as folder:
                row = kill(how, Path(folder), given.kills)
            RESULTS.save(how, row)
            print(f"{how}: {row}", flush=True)
    (HERE / "kills.md").write_text(render())


if __name__ == "__main__":
    main()
