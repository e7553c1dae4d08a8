"""ELSA: an epoch beside elsarec's, large catalogues, sparse vectors, an index. Writes elsa.md.

    python benchmarks/elsa/run.py install                    # elsarec's environment
    python benchmarks/elsa/run.py run                        # an epoch, on the set "slim"
    python benchmarks/elsa/run.py sampled                    # an epoch by size of the catalogue
    SHOAL_DATA=… python benchmarks/elsa/run.py compressed    # accuracy per byte on MovieLens-1M
    python benchmarks/elsa/run.py exact                      # a million items, ranked exactly
    python benchmarks/elsa/run.py ann                        # faiss against that, 200,000 items
    python benchmarks/elsa/run.py render                     # the page alone, from the results

Run it on a quiet machine: the load before each run stands in its result.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import shoal
from shoal.data.interactions import Interactions
from shoal.inference.ranking import rank_blocks

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.elsa.page import render
from benchmarks.harness import data, peers, synthetic
from benchmarks.harness.data import CACHE
from benchmarks.harness.results import Results, Row
from benchmarks.harness.synthetic import log_of
from benchmarks.peers.common import peak_rss, start_peak

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")
BATCHES = (128, 512)  # that of elsarec's README, and shoal's default
WIDTHS = (8, 16, 32, 64)  # non-zeros; a dense vector of the same bytes has twice as many numbers


def save(name: str, row: Row) -> None:
    """Keep a result."""
    row = row | {"cores": len(os.sched_getaffinity(0))}
    RESULTS.save(name, row)
    print(name, {k: v for k, v in row.items() if isinstance(v, int | float)}, flush=True)


def beside(shape: str, only: list[str], chosen: argparse.Namespace) -> None:
    """An epoch of each peer, in a process of its own; batches of one size, then of the other."""
    folder = synthetic.stored(shape, CACHE)
    for batch in BATCHES:
        for peer in only:
            options = {"data": folder, "epochs": chosen.epochs}
            options |= {"factors": chosen.factors, "batch": batch}
            out = CACHE / f"elsa-{shape}-{peer}-{batch}.json"
            script = f"elsa_{peer}.py"
            row = peers.child(peer, script, out, options, chosen.threads)
            save(f"{shape}-{peer}-{batch}", row)


def sampled(chosen: argparse.Namespace) -> None:
    """Seconds of an epoch by the size of the catalogue, with all items and with some of them."""
    run = shoal.Run(threads=chosen.threads)
    for n_items in (int(n) for n in chosen.sizes.split(",")):
        log = log_of(synthetic.make(10_000, n_items, 600_000))
        for draws in (0, chosen.draws):
            model = shoal.ELSA(factors=chosen.factors, sampled=draws, n_epochs=chosen.epochs)
            load, before = os.getloadavg()[0], start_peak()
            model.fit(log, run=run)
            row = {"items": n_items, "sampled": draws, "factors": chosen.factors}
            row |= {"seconds": min(e["seconds"] for e in model.curve), "load_before": load}
            row |= {"bytes": peak_rss() - before, "threads": chosen.threads, "users": log.n_users}
            save(f"sampled-{n_items}-{draws}", row)
            del model


def compressed(chosen: argparse.Namespace) -> None:
    """NDCG@100 of sparse vectors and of dense ones of the same bytes, on MovieLens-1M."""
    parts = data.ml_1m()
    assert parts.validation is not None
    run = shoal.Run(threads=chosen.threads)
    for s in WIDTHS:
        models = {
            f"compressed-{s}": shoal.CompressedELSA(nonzeros=s, factors=chosen.start),
            f"dense-{2 * s}": shoal.ELSA(factors=2 * s),
        }
        for name, model in models.items():
            if name in RESULTS:
                continue
            cpu = time.process_time()
            model.fit(parts.train, parts.validation, run)
            row: Row = {"bytes": 8 * s, "cpu_seconds": round(time.process_time() - cpu, 1)}
            row |= {"given": model.model_dump(), "facts": model.facts}
            row |= shoal.evaluate(model, parts.test, ["ndcg@100", "recall@20"], run).to_dict()
            save(name, row)


def invented(n_items: int, width: int, n_users: int) -> tuple[Any, Interactions]:
    """A model with vectors in clusters of about 50 items, and users who like two clusters each."""
    rng = np.random.default_rng(0)
    n_clusters = max(2, n_items // 50)
    centres = rng.standard_normal((n_clusters, width), dtype=np.float32)
    own = rng.integers(0, n_clusters, n_items)
    V = centres[own]
    V += 0.7 * rng.standard_normal((n_items, width), dtype=np.float32)
    V /= np.linalg.norm(V, axis=1, keepdims=True)
    order = np.argsort(own, kind="stable")
    starts = np.searchsorted(own[order], np.arange(n_clusters + 1))
    rows, columns = [], []
    for user in range(n_users):
        for cluster in rng.integers(0, n_clusters, 2):
            there = order[starts[cluster] : starts[cluster + 1]]
            mine = rng.choice(there, min(15, there.size), replace=False)
            rows.append(np.full(mine.size, user))
            columns.append(mine)
    at = np.concatenate(rows), np.concatenate(columns)
    X = sp.csr_array((np.ones(at[0].size, np.float32), at), shape=(n_users, n_items))
    X.data[:] = 1  # a user may draw a cluster twice
    log = log_of(X)
    model = shoal.ELSA(factors=width)
    model.restore({"vectors": V})
    model.take_catalogue(log)
    return model, log


def singly(model: Any, histories: list[Interactions], run: shoal.Run) -> float:
    """Median seconds of `recommend` for one history."""
    found = []
    for history in histories:
        items = history.items.take(history.indices)
        began = time.perf_counter()
        shoal.recommend(model, items, 100, run=run)
        found.append(time.perf_counter() - began)
    return float(np.median(found))


def exact(chosen: argparse.Namespace) -> None:
    """Exact lists of 100 from a large catalogue, and of one history at a time."""
    model, log = invented(chosen.items, chosen.factors, chosen.histories)
    run = shoal.Run(threads=chosen.threads)
    shoal.recommend(model, [0], 100, run=run)
    load, before = os.getloadavg()[0], start_peak()
    began = time.perf_counter()
    for _ in rank_blocks(model, model.histories(log), 100, run=run):
        pass
    seconds, most = time.perf_counter() - began, peak_rss() - before
    one = singly(model, [log.only_user(user) for user in range(20)], run)
    row = {"items": chosen.items, "factors": chosen.factors, "histories": chosen.histories}
    row |= {"seconds": seconds, "one_history_seconds": one, "bytes": most}
    row |= {"vector_bytes": model.vectors().nbytes, "threads": chosen.threads, "load_before": load}
    save("exact", row)


def ann(chosen: argparse.Namespace) -> None:
    """Each kind of index: recall of the exact lists, and the seconds of both."""
    from dataclasses import asdict

    model, log = invented(chosen.items, chosen.factors, 2_000)
    run = shoal.Run(threads=chosen.threads)
    for kind in ("flat", "ivf", "hnsw"):
        load = os.getloadavg()[0]
        index = shoal.build_index(model, log, kind=kind, run=run)
        row = asdict(index.facts) | {"threads": chosen.threads, "load_before": load}
        histories = [log.only_user(user) for user in range(50)]
        row["one_exact_seconds"] = singly(model, histories, run)
        index.serve(model)
        row["one_index_seconds"] = singly(model, histories, run)
        model.search_with(None)
        save(f"ann-{kind}", row)


def main() -> None:
    """Run a part, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ["install", "run", "sampled", "compressed", "exact", "ann", "render"]
    parser.add_argument("part", choices=parts)
    # "tiny" is there to see that everything works; its figures mean nothing
    shapes = list(synthetic.SHAPES)
    parser.add_argument("--shape", default="slim", choices=shapes)
    parser.add_argument("--only", default="shoal,elsarec", help="run: peers, by commas")
    parser.add_argument("--epochs", type=int, default=2, help="the fastest counts")
    parser.add_argument("--factors", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sizes", default="10000,40000,160000", help="sampled: items, by commas")
    parser.add_argument("--draws", type=int, default=2_000, help="sampled: items for the rest")
    parser.add_argument("--start", type=int, default=1024, help="compressed: factors at first")
    parser.add_argument("--items", type=int, help="exact: a million; ann: 200,000")
    parser.add_argument("--histories", type=int, default=10_000, help="exact")
    chosen = parser.parse_args()
    chosen.items = chosen.items or (1_000_000 if chosen.part == "exact" else 200_000)
    if chosen.part == "install":
        print("elsarec", peers.install_one("elsarec", "elsa"))
    elif chosen.part == "run":
        beside(chosen.shape, chosen.only.split(","), chosen)
    elif chosen.part != "render":
        {"sampled": sampled, "compressed": compressed, "exact": exact, "ann": ann}[chosen.part](
            chosen
        )
    if chosen.shape != "tiny":
        (HERE / "elsa.md").write_text(render(RESULTS))


if __name__ == "__main__":
    main()
