"""Writes the page of elsa/run.py from its results."""

from __future__ import annotations

from benchmarks.harness.page import GIB, epoch_seconds, peak, short
from benchmarks.harness.results import Results, Row

FASTER, SMALLER = 3.0, 2.0  # the goals

HEAD = """# ELSA: speed, memory, sparse vectors, an index

Written by `benchmarks/elsa/run.py`; no figure here is typed by hand. All on the CPU.
"""

BESIDE = """
## An epoch beside elsarec

elsarec 0.1.4 is the authors' package. Both train the same matrix with the same number of factors
and of users in a batch, each in a process of its own; 128 is the batch of elsarec's README, 512 is
shoal's default. The fastest epoch counts. **Peak** is the most that the process held in training,
less what it held before (the data included). **Loss** is the mean of 1 − cosine over the last
epoch. The goals: {faster:g} × as fast, and at most 1/{smaller:g} of the memory.
"""

SAMPLED = """
## An epoch by the size of the catalogue

{users:,} users with 60 items each, {factors} factors, batches of 512, {threads} threads. *all
items*: the exact loss. *sampled*: the batch's own items and so many others stand for the rest.
"""

COMPRESSED = """
## Accuracy per byte

MovieLens-1M, split and test users of [depth.md](../depth/depth.md), one seed, default settings. A
sparse vector takes 8 bytes for each non-zero, a dense one 4 for each number: rows have the same
bytes. Published for MovieLens-20M (Vančura et al., WWW 2026): NDCG@100 .420, .411, .398, .378 with
64, 32, 16 and 8 non-zeros, and .410, .394, .371, .339 for dense vectors of the same bytes.
"""

EXACT = """
## Exact lists from a large catalogue

Lists of 100 for {histories:,} histories from {items:,} items with {factors} factors
({vectors:.2f} GiB of vectors), {threads} threads: {seconds} s, {bytes:.2f} GiB beyond what was held
before. One history alone: {one} s. Load before: {load:.1f}.
"""

ANN = """
## An index

{items:,} invented vectors of {width} numbers in clusters of about 50; lists of {k} for
{histories:,} histories of up to 30 items, {threads} threads. Recall is the share of the exact
lists. *one* is the median of 50 calls of `recommend`.

| index | recall | build, s | all histories, s | exactly, s | one, s | exactly, s | load before |
|---|---|---|---|---|---|---|---|
"""


def _beside(results: Results, shape: str = "slim") -> str:
    text = BESIDE.format(faster=FASTER, smaller=SMALLER)
    rows = {
        (int(name.split("-")[2]), name.split("-")[1]): row
        for name in results.names(f"{shape}-*-*")
        if (row := results.get(name)) is not None
    }
    if not rows:
        return text + "\nNot yet run.\n"
    one = next(iter(rows.values()))
    text += f"\n{one['users']:,} users × {one['items']:,} items, {one['interactions']:,} "
    text += f"interactions, {one['factors']} factors, {one['threads']} threads.\n\n"
    text += "| batch | | seconds an epoch | peak, GiB | loss | faster | smaller | load before |\n"
    text += "|---|---|---|---|---|---|---|---|\n"
    for batch in sorted({b for b, _ in rows}):
        mine = rows.get((batch, "shoal"))
        for peer in ("shoal", "elsarec"):
            text += _line(batch, peer, rows.get((batch, peer)), mine)
    return text


def _line(batch: int, peer: str, row: Row | None, mine: Row | None) -> str:
    value = epoch_seconds(row)
    if row is None or value is None:
        why = (row or {}).get("failed", "not measured")
        return f"| {batch} | {peer} | {why} | | | | | |\n"
    most, ours, ours_most = peak(row), epoch_seconds(mine), peak(mine) if mine else None
    ratios = ["", ""]
    if peer != "shoal" and ours and ours_most and most:
        for at, (ratio, goal) in enumerate(((value / ours, FASTER), (most / ours_most, SMALLER))):
            ratios[at] = f"{short(ratio)} × {'' if ratio >= goal else '(**missed**)'}".strip()
    memory = "–" if most is None else f"{most / GIB:.2f}"
    return (
        f"| {batch} | {peer} | {short(value)} | {memory} | {row['losses'][-1]:.4f} | {ratios[0]} | "
        f"{ratios[1]} | {row['load_before']:.1f} |\n"
    )


def _sampled(results: Results) -> str:
    rows = results.matching("sampled-*")
    if not rows:
        return ""
    text = SAMPLED.format(**rows[0])
    text += "\n| items | | seconds an epoch | peak, GiB | load before |\n|---|---|---|---|---|\n"
    for row in sorted(rows, key=lambda r: (r["items"], r["sampled"])):
        kind = f"sampled, {row['sampled']:,}" if row["sampled"] else "all items"
        text += (
            f"| {row['items']:,} | {kind} | {short(row['seconds'])} | {row['bytes'] / GIB:.2f} | "
        )
        text += f"{row['load_before']:.1f} |\n"
    return text


def _compressed(results: Results) -> str:
    lines = []
    for sparse in results.matching("compressed-*"):
        dense = results.get(f"dense-{sparse['bytes'] // 4}")
        cells = []
        for row in (sparse, dense):
            for metric in ("ndcg@100", "recall@20"):
                found = row["metrics"][metric] if row else None
                cells.append(f"{found['mean']:.4f} ±{found['se']:.4f}" if found else "–")
        given = sparse["given"]
        size = f"{given['nonzeros']} of {given['factors']}"
        lines.append((sparse["bytes"], f"| {sparse['bytes']} | {size} | {' | '.join(cells)} |\n"))
    if not lines:
        return ""
    text = COMPRESSED + "\n| bytes of an item | non-zeros | sparse: NDCG@100 | Recall@20 | "
    text += "dense: NDCG@100 | Recall@20 |\n|---|---|---|---|---|---|\n"
    return text + "".join(line for _, line in sorted(lines, reverse=True))


def _exact(results: Results) -> str:
    row = results.get("exact")
    if row is None:
        return ""
    sizes = {"bytes": row["bytes"] / GIB, "vectors": row["vector_bytes"] / GIB}
    times = {"seconds": short(row["seconds"]), "one": short(row["one_history_seconds"])}
    return EXACT.format(**row | sizes | times | {"load": row["load_before"]})


def _ann(results: Results) -> str:
    rows = [row for kind in ("flat", "ivf", "hnsw") if (row := results.get(f"ann-{kind}"))]
    if not rows:
        return ""
    first = rows[0]
    text = ANN.format(**first | {"items": first["n_items"]})
    names = ("build_seconds", "index_seconds", "exact_seconds", "one_index_seconds")
    for row in rows:
        cells = [short(row[n]) for n in (*names, "one_exact_seconds")]
        text += f"| {row['kind']} | {row['recall']:.4f} | {' | '.join(cells)} | "
        text += f"{row['load_before']:.1f} |\n"
    return text


def render(results: Results) -> str:
    """The whole page."""
    parts = (_beside, _sampled, _compressed, _exact, _ann)
    return HEAD + "".join(part(results) for part in parts)
