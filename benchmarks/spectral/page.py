"""Writes the page of spectral/run.py from its results."""

from __future__ import annotations

from benchmarks.harness.results import Results, Row
from benchmarks.spectral.grids import (
    ANCHORS,
    AS_PUBLISHED,
    BY_RANK,
    GRID,
    LONG,
    METRICS,
    ML1M_METRICS,
    RANKS,
    best,
)

HEAD = """# Singular values and item graphs

Written by `benchmarks/spectral/run.py`; no figure here is typed by hand but the published ones. ±
is the standard error over users. *fit* is wall clock and *CPU* the processor's time of one fit;
other jobs ran beside some of them, so *CPU* is the one to compare.
"""

ML1M = """
## MovieLens-1M: accuracy by size

    SHOAL_DATA=… python benchmarks/spectral/run.py ml-1m

Strong generalisation: rating ≥ 4, users with at least 5 such ratings, {users:,} test users, as many
for validation, split seed 0. Each model has k numbers for an item (`spectral-ease` two more), so
rows of the same k take the same memory. Settings are those with the best NDCG@100 on the validation
users, for each k; the test users were not looked at for that. `spectral-ease-even` has the same λ
for all items, and users as they are (γ = 0, β = 0): EASE cut to k singular values.
"""

LIGHTGCN = """
## The splits of LightGCN

    SHOAL_DATA=… python benchmarks/spectral/run.py lightgcn
    SHOAL_DATA=… python benchmarks/spectral/run.py published
    SHOAL_DATA=… python benchmarks/spectral/run.py long

`recall_full@20` = hits / held-out items. *tuned*: the settings with the best NDCG@20 on 10 % of
each user's training items (seed 0), fitted again on all of them; the test part is used once for
each row. *as published*: the authors' own settings; what those were chosen on is not said, and
there is no official validation part. *not tuned*: one fit with these settings, for models of which
a grid of fits takes too long. MRF has 200 neighbours per item. ELSA is here with sampled
items only, and Turbo-CF is tuned with filter 1 only, so that a fit and its evaluation stay short:
filter 2 takes as many operations for each user as P has entries.
"""


def _cell(row: Row, metric: str) -> str:
    found = row["metrics"][metric]
    return f"{found['mean']:.4f} ±{found['se']:.4f}"


def _text(given: Row) -> str:
    return ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in given.items())


def _by_rank(results: Results) -> str:
    lines, missing, users = [], [], None
    for rank in RANKS:
        for label, (_, tried) in BY_RANK.items():
            rows = [results.get(f"ml-1m-{label}-{rank}-{at}") for at in range(len(tried))]
            there = [row for row in rows if row is not None]
            if len(there) < len(rows):
                missing.append(f"{label} {rank}")
                continue
            row = max(there, key=lambda r: r["validation"])
            users = row["users"]
            given = {k: v for k, v in row["given"].items() if k != "factors"}
            lines.append(
                f"| {rank} | {label} | {row['validation']:.4f} | "
                + " | ".join(_cell(row, metric) for metric in ML1M_METRICS)
                + f" | {row['bytes'] / 1e6:.1f} | {row['fit_seconds']:.1f} | "
                + f"{row['cpu_seconds']:.1f} | {_text(given)} |"
            )
    if users is None:
        return "\n## MovieLens-1M: accuracy by size\n\nNot yet run.\n"
    names = [m.replace("ndcg", "NDCG").replace("recall", "Recall") for m in ML1M_METRICS]
    text = ML1M.format(users=users)
    text += f"\n| k | model | validation NDCG@100 | {' | '.join(names)} | MB | fit, s | CPU, s | "
    text += "chosen |\n|---|---|---|" + "---|" * (len(names) + 4) + "\n"
    text += "\n".join(lines) + "\n"
    if missing:
        text += f"\nNot yet run: {'; '.join(missing)}.\n"
    return text


def _row(label: str, how: str, row: Row) -> str:
    cells = " | ".join(_cell(row, metric) for metric in METRICS)
    return (
        f"| {label} | {how} | {_text(row['given'])} | {cells} | {row['bytes'] / 1e6:.0f} | "
        f"{row['fit_seconds']:.1f} | {row['cpu_seconds']:.1f} | {row['seconds']:.1f} |"
    )


def _dataset(results: Results, data: str) -> str:
    lines, missing, tried = [], [], []
    for label, settings in GRID.items():
        row = results.get(f"{data}-{label}-test")
        if row is None:
            missing.append(label)
            continue
        lines.append((row["metrics"]["recall_full@20"]["mean"], _row(label, "tuned", row)))
        found = [results.get(f"{data}-{label}-{at}") for at in range(len(settings))]
        there = [r for r in found if r is not None]
        for one in there if len(there) > 1 else []:
            mark = "✓" if one is best(there) else ""
            cells = " | ".join(_cell(one, metric) for metric in METRICS)
            tried.append(f"| {label} | {_text(one['given'])} | {cells} | {mark} |")
    for label in AS_PUBLISHED[data]:
        row = results.get(f"{data}-{label}-published")
        if row is None:
            missing.append(f"{label} as published")
            continue
        lines.append((row["metrics"]["recall_full@20"]["mean"], _row(label, "as published", row)))
    for label, given in LONG.items():
        name = label.split("-")[0]
        row = results.get(f"{data}-{name}-long-{given['factors']}")
        if row is None:
            missing.append(f"{name} with {given['factors']} factors, {given['n_epochs']} epochs")
            continue
        lines.append((row["metrics"]["recall_full@20"]["mean"], _row(name, "not tuned", row)))
    for label, recall, ndcg, source in ANCHORS[data]:
        cells = f"{recall:.4f} | {'' if ndcg is None else f'{ndcg:.4f}'}"
        lines.append((recall, f"| *{label}* | *{source}* | | {cells} | | | | |"))
    text = (
        f"\n### {data}\n\n| model | | settings | recall_full@20 | NDCG@20 | MB | fit, s | CPU, s | "
    )
    text += "evaluation, s |\n|---|---|---|---|---|---|---|---|---|\n"
    text += "\n".join(line for _, line in sorted(lines, key=lambda one: -one[0])) + "\n"
    text += "\nItalics: published figures, with their source.\n"
    if missing:
        text += f"\nNot yet run: {', '.join(missing)}.\n"
    ends = [results.get(f"{data}-popularity-{at}") for at in ("0", "test")]
    if None not in ends:
        value, test = (e["metrics"]["recall_full@20"]["mean"] for e in ends if e is not None)
        text += (
            f"\nPopularity has a recall of {value:.4f} on the validation part and of {test:.4f} on "
            "the test part: the two are not alike, so what validates best may not be best there.\n"
        )
    if tried:
        text += (
            "\nTried, on the validation part:\n\n| model | settings | recall_full@20 | NDCG@20 | "
        )
        text += "chosen |\n|---|---|---|---|---|\n" + "\n".join(tried) + "\n"
    return text


def render(results: Results) -> str:
    """The whole page."""
    return HEAD + _by_rank(results) + LIGHTGCN + "".join(_dataset(results, d) for d in ANCHORS)
