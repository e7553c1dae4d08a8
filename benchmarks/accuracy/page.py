"""Writes the page of accuracy/run.py from its results."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.results import Results, Row

Runs = dict[str, list[tuple[str, str, dict[str, float]]]]

HEAD = """# Accuracy on real data

Written by `benchmarks/accuracy/run.py`; no figure here is typed by hand. `±` is the standard error
over users. Metrics: `recall_full@k` = hits / held-out items, `recall@k` = hits / min(k, held-out
items), `ndcg@k` with a list of all held-out items as ideal; head = the most popular 20 % of items
by training users, tail = the rest.
"""

LIGHTGCN = """
## Gowalla and Yelp2018, the split of LightGCN

    SHOAL_DATA=… python benchmarks/accuracy/run.py lightgcn

All training users, all items; training items are never recommended. Hyper-parameters are those
that the models' authors give for these splits (RLAE/RDLAE: the scripts of Moon et al. 2023; DAN:
those of Park et al. 2025; EASE: the BARS leaderboard), so nothing was tuned here, and what the
authors tuned on, we do not know: there is no official validation part. The column *published* is
the BARS leaderboard's; the other models' tables in their papers were not at hand, so their rows
are ours alone.
"""

ML1M = """
## MovieLens-1M, strong generalisation

    SHOAL_DATA=… python benchmarks/accuracy/run.py ml-1m

Rating ≥ 4, users with at least 5 such ratings; 10 % of the users for validation and 10 % for test,
seed 0, 80 % of a held-out user's items as history and 20 % to be found. Every hyper-parameter was
chosen by NDCG@100 on the validation users, over the grids in the script; the test users were used
once. All figures are ours (this split has no published table).
"""


def _cell(row: Row, metric: str) -> str:
    found = row["metrics"][metric]
    se = "" if found["se"] is None else f" ±{found['se']:.4f}"
    return f"{found['mean']:.4f}{se}"


def _settings(parameters: Row) -> str:
    shown = {k: v for k, v in parameters.items() if v not in (0, False) or k == "l2"}
    return ", ".join(f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items())


def _lightgcn(results: Results, runs: Runs, published: dict[str, Any]) -> str:
    text = LIGHTGCN
    for data, models in runs.items():
        rows, missing = [], []
        for label, model, _ in models:
            row = results.get(f"{data}-{label.lower().replace(' + ', '-')}")
            if row is None:
                missing.append(label)
                continue
            known = published[data].get(model) if label == "EASE" else None
            cells = [_cell(row, m) for m in ("recall_full@20", "ndcg@20")]
            parts = [
                f"{row['metrics'][f'recall_full@20:{g}']['mean']:.4f}" for g in ("head", "tail")
            ]
            rows.append(
                f"| {label} | {_settings(row['parameters'])} | {' | '.join(cells)} | "
                + (f"{known[0]:.4f} / {known[1]:.4f}" if known else "")
                + f" | {' | '.join(parts)} |"
            )
        text += f"\n### {data}\n\n"
        text += "| model | hyper-parameters | recall_full@20 | ndcg@20 | published | "
        text += "recall_full@20 head | tail |\n|---|---|---|---|---|---|---|\n"
        text += "\n".join(rows) + "\n"
        if missing:
            text += f"\nNot yet run: {', '.join(missing)}.\n"
    return text


def _ml_1m(results: Results) -> str:
    metrics = ("ndcg@100", "recall@20", "recall@50", "ndcg@100:head", "ndcg@100:tail")
    text = ML1M
    found = []
    for name in results.names("ml-1m-*"):
        row = results.get(name)
        if row is not None:
            found.append((name.removeprefix("ml-1m-"), row))
    if not found:
        return text + "\nNot yet run.\n"
    users = found[0][1]["users"]
    text += f"\n{users:,} test users.\n\n| model | chosen | {' | '.join(metrics)} | coverage@100 | "
    text += "negative weights |\n|---|---|" + "---|" * (len(metrics) + 2) + "\n"
    for name, row in sorted(found, key=lambda f: -f[1]["metrics"]["ndcg@100"]["mean"]):
        negative = row["facts"].get("negative_weights")
        text += (
            f"| {name} | {_settings(row['parameters'])} | "
            + " | ".join(_cell(row, m) for m in metrics)
            + f" | {row['metrics']['coverage@100']['mean']:.3f} | "
            + (f"{negative:.1%}" if negative is not None else "")
            + " |\n"
        )
    return text


def readme_block(results: Results, runs: Runs, published: dict[str, Any]) -> str:
    """The figures that the README shows."""
    text = "MovieLens-1M, strong generalisation, rating ≥ 4, tuned on validation users "
    text += "(`python benchmarks/accuracy/run.py ml-1m`):\n\n"
    text += "| model | NDCG@100 | Recall@20 | NDCG@100, tail |\n|---|---|---|---|\n"
    found = {n.removeprefix("ml-1m-"): results.get(n) for n in results.names("ml-1m-*")}
    rows = [(name, row) for name, row in found.items() if row is not None]
    for name, row in sorted(rows, key=lambda f: -f[1]["metrics"]["ndcg@100"]["mean"]):
        cells = [_cell(row, m) for m in ("ndcg@100", "recall@20", "ndcg@100:tail")]
        text += f"| {name.replace('-dan', ' + DAN')} | {' | '.join(cells)} |\n"
    text += (
        "\nThe split of LightGCN, hyper-parameters as published by the models' authors, Recall@20 "
    )
    text += (
        "(over all held-out items) / NDCG@20 (`python benchmarks/accuracy/run.py lightgcn`):\n\n"
    )
    labels = [label for label, _, _ in next(iter(runs.values()))]
    text += f"| | {' | '.join(runs)} |\n|---|{'---|' * len(runs)}\n"
    known = [f"{published[d]['ease'][0]:.4f} / {published[d]['ease'][1]:.4f}" for d in runs]
    text += f"| EASE, published (BARS) | {' | '.join(known)} |\n"
    for label in labels:
        cells = []
        for data in runs:
            kept = results.get(f"{data}-{label.lower().replace(' + ', '-')}")
            found_metrics = kept["metrics"] if kept else {}
            means = [found_metrics[m]["mean"] for m in ("recall_full@20", "ndcg@20") if kept]
            cells.append(" / ".join(f"{m:.4f}" for m in means))
        if any(cells):
            text += f"| {label} | {' | '.join(cells)} |\n"
    return text


def render(results: Results, runs: Runs, published: dict[str, Any]) -> str:
    """The whole page."""
    return HEAD + _lightgcn(results, runs, published) + _ml_1m(results)
