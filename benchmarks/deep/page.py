"""Writes the page of deep/run.py from its results."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness.page import GIB, epoch_seconds, peak, short
from benchmarks.harness.results import Results, Row

GOAL = 3.0
NAMES = {"small": "Small", "ml20m": "The shape of MovieLens-20M"}

HEAD = """# Speed and memory of deep models

Written by `benchmarks/deep/run.py`; no figure here is typed by hand. Data are synthetic and seeded
(`harness/synthetic.py`), made for seconds and bytes, not for quality.
"""

ABOUT = """
Everyone trains the same Mult-VAE on the same matrix, on the CPU, in an environment and a process
of its own: 600 hidden units, 200 factors, batches of 500 users, Adam with 0.001, dropout 0.5.
An **epoch** is one pass over all users; the fastest one counts. Reading and converting the data is
not in the times. **Peak** is the most that the process held while it made and trained the network,
less what it held before (the data included). **Loss** is the mean over the last epoch in the
peer's own account, to see that all learn the same thing. In brackets: times shoal's in float32.

*bfloat16* rounds the factors of matrix products and keeps sums and weights in float32; it pays on
processors with AMX, and is RecBole's `enable_amp`. *sketch* is the loop that one writes in plain
torch if one stays sparse: `embedding_bag` as the first layer, the loss gathered at the items.
"""

DEEPER = """
## RecVAE and FLVAE

On the small set. RecVAE has the authors' settings (600 units, 200 factors, batches of 500; three
passes for the encoder and one for the decoder are an **epoch**), here and at RecBole. FLVAE has 600
units, 200 factors and the paper's depth; its epoch is one **pass** over the users, each of whom is
two rows: half of the history for the other half, and the reverse. The goal is twice RecBole's pass.
"""
DEEPER_GOAL = 2.0
PASSES = {"recvae": 4, "recvae-recbole": 4, "flvae": 1}


def _line(name: str, row: Row, mine: Row | None) -> str:
    value, most = epoch_seconds(row), peak(row)
    if value is None:
        return f"| {name} | – | – | – | – |\n"
    ours, our_peak = epoch_seconds(mine), peak(mine) if mine else None
    other = not name.startswith("shoal")
    times = f" ({short(value / ours)})" if ours and name != "shoal" else ""
    times_peak = f" ({short(most / our_peak)})" if other and most and our_peak else ""
    memory = "–" if most is None else f"{most / GIB:.2f}{times_peak}"
    loss = f"{row['losses'][-1]:.1f}" if row.get("losses") else "–"
    return f"| {name} | {short(value)}{times} | {row['users'] / value:,.0f} | {memory} | {loss} |\n"


def _table(results: Results, shape: str, peers: Sequence[str]) -> str:
    found = [(peer, row) for peer in peers if (row := results.get(f"{shape}-{peer}"))]
    if not found:
        return ""
    data = results.get(f"{shape}-data") or {}
    mine = next((row for peer, row in found if peer == "shoal"), None)
    some = next((row for _, row in found if "cores" in row), {})
    text = f"\n## {NAMES[shape]}: {data['n_users']:,} users × {data['n_items']:,} items\n\n"
    text += f"{some.get('interactions', 0):,} interactions, seed {data['seed']}. "
    text += f"{some.get('cores')} cores, {some.get('threads')} threads.\n\n"
    text += "| | seconds an epoch | users/s | peak, GiB | loss |\n|---|---|---|---|---|\n"
    text += "".join(_line(peer, row, mine) for peer, row in found)
    text += "\n| | every epoch, s | versions | load before | notes |\n|---|---|---|---|---|\n"
    for peer, row in found:
        notes = [f"**failed**: {row['failed']}"] if "failed" in row else []
        notes += [f"{stage}: {note}" for stage, note in row.get("notes", {}).items()]
        versions = {n: v for n, v in row.get("versions", {}).items() if n != "shoal"}
        text += f"| {peer} | {', '.join(short(s) for s in row['epochs']) or '–'} | "
        text += ", ".join(f"{name} {version}" for name, version in versions.items())
        text += f" | {row['load_before']:.1f} | {'; '.join(notes).replace('|', chr(92) + '|')} |\n"
    return text


def _goals(results: Results, peers: Sequence[str]) -> str:
    rows = {peer: results.get(f"small-{peer}") for peer in peers}
    text = f"\n## Goal: {GOAL:g} × the peers' users per second\n\n"
    text += "| | " + " | ".join(p for p in peers if not p.startswith(("shoal", "sketch"))) + " |\n"
    others = [p for p in peers if not p.startswith(("shoal", "sketch"))]
    text += "|---|" + "---|" * len(others) + "\n"
    for name in ("shoal", "shoal-bfloat16"):
        cells = []
        for other in others:
            mine, theirs = epoch_seconds(rows[name]), epoch_seconds(rows[other])
            if mine is None or theirs is None:
                cells.append("not measured")
                continue
            ratio = theirs / mine
            cells.append(f"{short(ratio)} × {'' if ratio >= GOAL else '(**missed**)'}".strip())
        text += f"| {name} | {' | '.join(cells)} |\n"
    return text


def _deeper(results: Results, names: Sequence[str]) -> str:
    """RecVAE and FLVAE beside RecBole's RecVAE."""
    rows = {name: results.get(f"small-{name}") for name in names}
    theirs = epoch_seconds(rows["recvae-recbole"])
    text = (
        DEEPER
        + "\n| | seconds an epoch | a pass | × RecBole's pass | peak, GiB | every epoch, s | "
    )
    text += "load before |\n|---|---|---|---|---|---|---|\n"
    for name, row in rows.items():
        value = epoch_seconds(row)
        if row is None or value is None:
            text += f"| {name} | not measured | | | | | |\n"
            continue
        passes = PASSES[name]
        ratio = ""
        if theirs is not None and name != "recvae-recbole":
            found = theirs / PASSES["recvae-recbole"] / (value / passes)
            ratio = f"{short(found)} × {'' if found >= DEEPER_GOAL else '(**missed**)'}".strip()
        most = peak(row)
        memory = "–" if most is None else f"{most / GIB:.2f}"
        every = ", ".join(short(s) for s in row["epochs"])
        text += (
            f"| {name} | {short(value)} | {short(value / passes)} | {ratio} | {memory} | {every} | "
        )
        text += f"{row['load_before']:.1f} |\n"
    return text


def render(results: Results, peers: Sequence[str], deeper: Sequence[str]) -> str:
    """The whole page."""
    text = HEAD + _goals(results, peers) + "\n## Mult-VAE, side by side\n" + ABOUT
    text += "".join(_table(results, shape, peers) for shape in NAMES)
    return text + _deeper(results, deeper)
