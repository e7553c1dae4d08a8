"""Writes frontier.md from the results."""

from __future__ import annotations

from typing import Any

from benchmarks.frontier.parts import FILES, best, name_of, rows_of
from benchmarks.frontier.settings import (
    AUTHORS,
    BLENDS,
    BUDGET,
    FILTERS,
    METRICS,
    PUBLISHED,
    SELECTED_ON,
    dense_labels,
)
from benchmarks.harness.results import Row

HEAD = """# Closed forms, graph filters and blends on the splits of LightGCN

Written by `benchmarks/frontier/run.py`; no figure here is typed by hand but the published ones. ±
is the standard error over users. `recall_full@20` = hits / held-out items, as in the published
tables; training items are never recommended.

    SHOAL_DATA=… python benchmarks/frontier/run.py filters
    SHOAL_DATA=… python benchmarks/frontier/run.py dense
    SHOAL_DATA=… python benchmarks/frontier/run.py costs

## Two selections, and which to believe

These splits have no validation part, and published settings were chosen on the test part, or it is
not said on what. So each model is shown twice, with {budget} settings each (`settings.py`; where
fewer were tried, the tables below say so):

* **as the literature does**: the settings with the best NDCG@20 on the test part ({users:,} test
  users drawn with seed 0 decide; the figures are of all test users);
* **chosen on validation**: the settings with the best NDCG@20 for {users:,} users of a random tenth
  of each user's training items, then fitted to all of them and evaluated once on all test users.

Believe the second as an estimate of what a model reaches on data that were not looked at, and use
the first only beside published figures, which were made in the same way. Neither is the whole
truth here: the test parts are no random share of each user's items. On Gowalla, test items are more
popular than training items (91 training users on average against 74), on Yelp2018 less (90 against
106), so a random validation share draws settings that favour unpopular items too much on the one
and too little on the other.

`gf-cf-paper` is GF-CF with its own hyper-parameters alone; `gf-cf` adds the exponents b and β of
its linear filter. A blend adds the standardised scores of two models, with the settings that were
chosen for them on the same part; its own settings are eight weights.
"""


def _cells(row: Row | None) -> str:
    if row is None:
        return "– | –"
    found = (row["metrics"][metric] for metric in METRICS)
    return " | ".join(f"{each['mean']:.4f} ±{each['se']:.4f}" for each in found)


def _text(given: Row) -> str:
    def one(name: str, value: Any) -> str:
        if isinstance(value, dict):
            return f"{name}({_text(value)})"
        return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"

    return ", ".join(one(name, value) for name, value in given.items())


def _on_all(dataset: str, label: str, part: str) -> tuple[Row | None, Row | None]:
    """What a selection took, and what it reaches on all test users."""
    selected = best(dataset, part, label)
    if selected is None:
        return None, None
    wanted = name_of(dataset, "all", label, selected["given"])
    rows = (file.get(wanted) for file in FILES.values())
    return selected, next((row for row in rows if row is not None), None)


def labels(dataset: str) -> list[str]:
    """All models of a data set."""
    return [
        *FILTERS[dataset],
        *dense_labels(dataset),
        *(f"blend({a}+{b})" for a, b in BLENDS[dataset]),
    ]


def _dataset(dataset: str) -> str:
    lines: list[tuple[float, str]] = []
    missing = []
    for label in labels(dataset):
        literature = _on_all(dataset, label, "test")
        honest = _on_all(dataset, label, "validation")
        if literature[1] is None and honest[1] is None:
            missing.append(label)
            continue
        rows = [literature[1], honest[1]]
        value = max(row["metrics"]["ndcg@20"]["mean"] for row in rows if row is not None)
        on = honest[0]["metrics"]["ndcg@20"]["mean"] if honest[0] else float("nan")
        lines.append(
            (value, f"| {label} | {_cells(literature[1])} | {on:.4f} | {_cells(honest[1])} |")
        )
    for label, recall, ndcg, source in PUBLISHED[dataset]:
        lines.append((ndcg, f"| *{label}, {source}* | *{recall:.4f}* | *{ndcg:.4f}* | | | |"))
    text = f"\n## {dataset}\n\n| model | best on test: recall_full@20 | NDCG@20 | "
    text += "NDCG@20 on validation | chosen on validation: recall_full@20 | NDCG@20 |\n"
    text += "|---|---|---|---|---|---|\n"
    text += "\n".join(line for _, line in sorted(lines, key=lambda one: -one[0])) + "\n"
    text += "\nItalics: published figures.\n"
    if missing:
        text += f"\nNot run: {', '.join(missing)}.\n"
    text += "\n| model | tried | best on test | chosen on validation |\n|---|---|---|---|\n"
    for label in labels(dataset):
        found = [best(dataset, part, label) for part in ("test", "validation")]
        tried = [len(rows_of(dataset, part, label)) for part in ("test", "validation")]
        cells = (_text(row["given"]) if row else "–" for row in found)
        text += f"| {label} | {tried[0]}, {tried[1]} | {' | '.join(cells)} |\n"
    return text + _as_published(dataset) + _costs(dataset)


def _as_published(dataset: str) -> str:
    text = "\nWith the authors' own settings, on all test users:\n\n| model | settings | published "
    text += "recall_full@20 | NDCG@20 | ours | |\n|---|---|---|---|---|---|\n"
    for label, (recall, ndcg) in AUTHORS[dataset].items():
        given = FILTERS[dataset][label][0]
        row = FILES["filters"].get(name_of(dataset, "all", label, given))
        printed = f"{recall:.4f} | {'–' if ndcg is None else f'{ndcg:.4f}'}"
        text += f"| {label} | {_text(given)} | {printed} | {_cells(row)} |\n"
    return text


def _costs(dataset: str) -> str:
    rows = {}
    for name in FILES["costs"].names(f"costs: {dataset} *"):
        rows[name.split(" ")[3]] = FILES["costs"].get(name)
    if not rows:
        return ""
    text = "\nWhat they cost, each fitted alone (two cores; a request: 20 items, one thread):\n\n"
    text += "| model | fit, s | peak of the fit, MB | kept, MB | s for 1,000 users | a request, ms "
    text += "| recall_full@20 | NDCG@20 |\n|---|---|---|---|---|---|---|---|\n"
    for label, row in rows.items():
        assert row is not None
        request = row["request_seconds"]
        shown = "–" if request is None else f"{1000 * request:.1f}"
        peak = "–" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e6:,.0f}"
        text += (
            f"| {label} | {row['fit_seconds']:,.1f} | {peak} | {row['model_bytes'] / 1e6:,.0f} | "
            f"{row['seconds_per_1000']:.2f} | {shown} | {_cells(row)} |\n"
        )
    return text


def render() -> str:
    """The whole page."""
    return HEAD.format(budget=BUDGET, users=SELECTED_ON) + "".join(map(_dataset, FILTERS))
