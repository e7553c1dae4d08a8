"""Writes the page and the plot of sparse/run.py from its results."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.results import Results, Row
from shoal.run import human_bytes

HEAD = """# Sparse models beside dense EASE

Written by `benchmarks/sparse/run.py`; no figure here is typed by hand.

`mrf` regresses each item on the neighbours that its pruned graph has, and never has an n × n
matrix; `pruned-ease` fits dense EASE and keeps the largest weights of each column. **density** is
the share of the n² weights that is kept, **of EASE** the share of dense EASE's figure, **model**
what the model folder's arrays take. **fit** is one fit by the clock and **peak** the most that the
process held beyond the data. All rows of pruned EASE come from one fit in one process, whose peak
is that of the first row.
"""

ABOUT = {
    "ml-1m": """
Rating ≥ 4, strong generalisation, split seed 0 (that of depth.md). λ of EASE, and λ and α of `mrf`
for each density, are those with the best NDCG@100 on the validation users.
""",
    "gowalla": """
The split of LightGCN. EASE has the published λ. λ and α of `mrf` were chosen once, at the least
density, by NDCG@20 on a tenth of each user's training items; all densities have them.
""",
}
ABOUT["yelp2018"] = ABOUT["gowalla"]

SCALE = """
## Large catalogues

Synthetic (`harness/synthetic.py`): as many users as items, {per} interactions and {per} neighbours
per item on average. {threads} threads.

| items | interactions | fit, s | CPU, s | peak | estimated | model |
|---|---|---|---|---|---|---|
"""


def rows_of(results: Results, name: str, how: Row) -> list[tuple[str, Row]]:
    """All measured rows of a set, with labels: EASE first."""
    labels = ["ease", *(f"mrf-{d:g}" for d in how["densities"]), "mrf-default", "pruned-ease"]
    out = []
    for label in labels:
        found = results.get(f"{name}-{label}")
        model = label if label == "pruned-ease" else label.split("-")[0]
        out += [(model, row | {"label": label}) for row in (found or {"rows": []})["rows"]]
    return out


def _cells(row: Row, metrics: tuple[str, ...], whole: Row | None) -> list[str]:
    out = []
    for metric in metrics:
        found = row["metrics"][metric]
        cell = f"{found['mean']:.4f} ±{found['se']:.4f}"
        if whole:
            cell += f" ({found['mean'] / whole['metrics'][metric]['mean']:.1%})"
        out.append(cell)
    return out


def _settings(row: Row) -> str:
    shown = {k: v for k, v in row["given"].items() if k not in ("neighbours", "density")}
    if row["label"] == "mrf-default":
        return "defaults"
    return ", ".join(f"{k} {v:g}" for k, v in shown.items())


def _set(results: Results, name: str, how: Row) -> str:
    rows = rows_of(results, name, how)
    if not rows:
        return ""
    whole = next((row for model, row in rows if model == "ease"), None)
    metrics = how["metrics"]
    names = " | ".join(f"{m} (of EASE)" for m in metrics)
    text = f"\n## {name}\n{ABOUT[name]}\n"
    one = rows[0][1]
    text += f"{one['items']:,} items, {one['interactions']:,} interactions, {one['users']:,} users"
    text += f" evaluated.\n\n| model | settings | density | {names} | model | fit, s | peak |\n"
    text += "|---|---|---|" + "---|" * len(metrics) + "---|---|---|\n"
    for model, row in rows:
        cells = _cells(row, metrics, whole)
        text += f"| {model} | {_settings(row)} | {row['density']:.2%} | {' | '.join(cells)} | "
        text += f"{human_bytes(row['model_bytes'])} | {row['fit_seconds']:.1f} | "
        text += f"{human_bytes(row['peak_bytes'])} |\n"
    if whole:
        text += _goal(rows, whole)
    return text


def _goal(rows: list[tuple[str, Row]], whole: Row) -> str:
    """Whether a sparse model of 2 % comes within 1 % of EASE."""
    text = "\n| goal | measured | |\n|---|---|---|\n"
    for wanted in ("mrf", "pruned-ease"):
        some = [r for m, r in rows if m == wanted and r["density"] <= 0.0201]
        if not some:
            continue
        best = max(r["metrics"]["ndcg@100"]["mean"] for r in some)
        share = best / whole["metrics"]["ndcg@100"]["mean"]
        met = "met" if share >= 0.99 else "missed"
        text += f"| {wanted}: NDCG@100 ≥ 99 % of EASE's at ≤ 2 % density | {share:.2%} | {met} |\n"
    return text


def render(results: Results, sets: dict[str, Row]) -> str:
    """The page."""
    text = HEAD + "".join(_set(results, name, how) for name, how in sets.items())
    if "ml-1m-ease" in results:
        text += "\n![Accuracy against bytes](sparse.png)\n"
    found = sorted(results.matching("scale-*"), key=lambda row: row["items"])
    if found:
        text += SCALE.format(per=100, threads=found[0]["threads"])
        for row in found:
            sizes = " | ".join(
                human_bytes(row[f"{k}_bytes"]) for k in ("peak", "estimate", "model")
            )
            text += f"| {row['items']:,} | {row['interactions']:,} | {row['fit_seconds']:.1f} | "
            text += f"{row['cpu_seconds']:.1f} | {sizes} |\n"
    return text


def plot(results: Results, sets: dict[str, Row], path: Path) -> None:
    """Accuracy against bytes, a panel for each set."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    there = [name for name, how in sets.items() if rows_of(results, name, how)]
    if not there:
        return
    figure, panels = plt.subplots(
        1, len(there), figsize=(1 + 4.6 * len(there), 4), layout="constrained", squeeze=False
    )
    for axes, name in zip(panels[0], there, strict=True):
        rows, metric = rows_of(results, name, sets[name]), sets[name]["metrics"][0]
        for model, line, colour in (("mrf", "o-", "#0b6e8a"), ("pruned-ease", "s-", "#c44e52")):
            points = sorted(
                (row["model_bytes"] / 1e6, row["metrics"][metric]["mean"])
                for m, row in rows
                if m == model and row["label"] != "mrf-default"
            )
            if points:
                axes.plot(*zip(*points, strict=True), line, label=model, color=colour)
        for model, row in rows:
            if model == "ease":
                at = row["model_bytes"] / 1e6, row["metrics"][metric]["mean"]
                axes.plot(*at, "D", color="#444444", label="ease, dense")
                axes.axhline(0.99 * at[1], ls=":", color="#444444", label="99 % of ease")
        axes.set(xscale="log", xlabel="model, MB", ylabel=metric)
        axes.set_title(name, loc="left")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=150)
    plt.close(figure)
