"""The pages of the papers: published beside ours, and which files have been run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from benchmarks.harness.page import fill
from benchmarks.harness.results import Results, Row

HEAD = """# The papers' figures beside ours

    SHOAL_DATA=… python benchmarks/papers/run.py NAME …

Written by `run.py` from runs of the files in [experiments/](../../experiments/README.md); no figure
here is typed by hand but the published ones, which stand in those files with their sources. ± is
the standard error over users. *difference* is ours less the published figure, beside what is said
of why the two may differ; without a remark the protocols are the same as far as is known.
"""


def write(experiments: Path, results: Results) -> None:
    """Write ``papers.md``, and the table of ``experiments/README.md``."""
    files = {file.stem: load(file) for file in sorted(experiments.glob("*.yaml"))}
    rows = {name: results.get(name) for name in files}
    parts = [section(name, row) for name, row in rows.items() if row is not None]
    missing = [name for name, row in rows.items() if row is None]
    text = HEAD + "".join(parts)
    if missing:
        text += f"\nNot run yet: {', '.join(missing)}.\n"
    (Path(__file__).resolve().parent / "papers.md").write_text(text, encoding="utf-8")
    fill(experiments / "README.md", "files", overview(files, rows))


def load(file: Path) -> dict[str, Any]:
    """An experiment file as plain data."""
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


def section(name: str, row: Row) -> str:
    """What one file gave."""
    text = f"\n## {name}\n"
    for comparison in row["comparisons"]:
        text += f"\n{comparison['data']}: {comparison['verdict']}\n\n"
        text += beside(comparison) + "\n" + models(comparison)
    took = duration(row["seconds"])
    return text + (
        f"\nRun {row['started'][:10]} with shoal {row['shoal']}, {row['threads']} threads of "
        f"{row['processor']}, in {took}.\n"
    )


def beside(comparison: Row) -> str:
    """Published, ours, difference."""
    figures = comparison["published"]
    if not figures:
        return "No published figure could be read; see the file for why.\n"
    errors = {
        (model["label"], metric): value["se"]
        for model in comparison["models"]
        for metric, value in model["metrics"].items()
    }
    lines = [
        "| model | metric | published | ours | difference | source | remark |",
        "|---" * 7 + "|",
    ]
    for figure in figures:
        ours = figure["ours"]
        error = errors.get((figure["model"], figure["metric"]))
        own = "–" if ours is None else f"{ours:.4f}" + (f" ±{error:.4f}" if error else "")
        difference = "–" if ours is None else f"{ours - figure['value']:+.4f}"
        cells = (figure["model"], figure["metric"], f"{figure['value']:g}", own, difference)
        remarks = (figure.get("source") or "", figure.get("note") or "")
        lines.append(f"| {' | '.join((*cells, *remarks))} |")
    return "\n".join(lines) + "\n"


def models(comparison: Row) -> str:
    """All models of a file with its metrics, the best first."""
    metrics = comparison["metrics"]
    lines = [f"| model | {' | '.join(metrics)} | fit, s |", "|---" * (len(metrics) + 2) + "|"]
    for model in comparison["models"]:
        values = [model["metrics"].get(name, {}).get("mean") for name in metrics]
        cells = ["–" if value is None else f"{value:.4f}" for value in values]
        seconds = model["fit_seconds"]
        cells.append("–" if seconds is None else f"{seconds:.3g}")
        lines.append(f"| {model['label']} | {' | '.join(cells)} |")
    lines += [f"| {label} | refused: {why} |" for label, why in comparison["refused"].items()]
    return "\n".join(lines) + "\n"


def overview(files: dict[str, dict[str, Any]], rows: dict[str, Row | None]) -> str:
    """The table of `experiments/README.md`."""
    lines = ["| file | what | models × seeds | figures of papers | run here |", "|---" * 5 + "|"]
    for name, content in files.items():
        row = rows[name]
        when = "–" if row is None else f"{row['started'][:10]}, {duration(row['seconds'])}"
        seeds = content.get("seeds", 1)
        count = seeds if isinstance(seeds, int) else len(seeds)
        cells = (
            f"[{name}.yaml]({name}.yaml)",
            str(content["description"]),
            f"{len(content['models'])} × {count}",
            str(len(content.get("published") or [])),
            when,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
