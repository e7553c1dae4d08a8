"""The report as Markdown, for a README, a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shoal._version import __version__
from shoal.experiments.report import formats as f
from shoal.experiments.report.run_files import RunFiles
from shoal.experiments.report.sections import differences, published, unfinished
from shoal.experiments.report.tables import (
    Comparison,
    markdown_rows,
    markdown_table,
    markdown_text,
    several_seeds,
    sizes,
    verdict_lines,
)


def report_markdown(results: Mapping[str, Any], run_files: RunFiles | None = None) -> str:
    """The verdict, the leaderboard, differences, costs and published figures of each data set."""
    run_files = run_files or RunFiles()
    blocks = [f"# {markdown_text(results.get('name') or 'comparison')}"]
    for comparison in results["comparisons"]:
        blocks += _comparison(comparison)
    blocks.append("## How to reproduce it")
    if run_files.experiment:
        fence = "`" * max(3, _longest_run(run_files.experiment, "`") + 1)
        blocks.append(f"{fence}yaml\n{run_files.experiment.strip()}\n{fence}")
    environment = run_files.environment
    made_by = f"shoal {environment.get('shoal', __version__)}"
    more = [str(environment[key]) for key in ("processor", "system") if environment.get(key)]
    if environment.get("threads"):
        more.append(f"{environment['threads']} threads")
    blocks.append(", ".join(markdown_text(text) for text in (made_by, *more)) + ".")
    return "\n\n".join(blocks) + "\n"


def _comparison(comparison: Comparison) -> list[str]:
    data, verdict = comparison["data"], comparison.get("verdict") or {}
    errors = "means ± standard errors over users"
    if several_seeds(comparison):
        errors += f", {len(comparison['seeds'])} seeds"
    heading = sizes(data)
    protocol = comparison.get("protocol")
    blocks = [
        f"## {markdown_text(data['name'])}",
        "\n\n".join(markdown_text(line) for line in verdict_lines(verdict)),
        markdown_text(f"{heading}; {protocol}; {errors}." if protocol else f"{heading}; {errors}."),
        markdown_table(comparison),
    ]
    if any(model.get("tied") for model in comparison["models"]):
        blocks.append(
            f"= the difference to the best by {markdown_text(comparison['metric'])} could be "
            "chance (p ≥ 0.05)."
        )
    blocks += _notes(comparison)
    compared = differences(comparison)
    if compared:
        rows = [
            [markdown_text(row["label"]), markdown_text(row["shown"]), row["p"], row["p_holm"]]
            for row in compared["rows"]
        ]
        head = ["model", f"difference to {markdown_text(compared['best'])}", "p", "p (Holm)"]
        blocks += ["### Is the difference real?", markdown_rows(head, rows)]
    blocks += ["### Costs", _costs(comparison)]
    figures = published(comparison)
    if figures:
        head = ["model", "metric", "published", "ours", "difference", "source", "note"]
        rows = [
            [markdown_text(row.get(key) or "") for key in ("model", "metric")]
            + [row["value"], row["ours"], row["gap"]]
            + [markdown_text(row.get(key) or "") for key in ("source", "note")]
            for row in figures
        ]
        blocks += ["### Published figures beside ours", markdown_rows(head, rows, numbers=2)]
    return blocks


def _notes(comparison: Comparison) -> list[str]:
    notes = [f"{label} was left out: {w}" for label, w in (comparison.get("refused") or {}).items()]
    notes += [f"{line}." for line in unfinished(comparison)]
    notes += comparison.get("notes") or ()
    return ["\n".join(f"- {markdown_text(note)}" for note in notes)] if notes else []


def _costs(comparison: Comparison) -> str:
    head = ["model", "fit", "tuning", "trials", "peak memory", "model", "request"]
    several = len({model.get("hardware") or "" for model in comparison["models"]}) > 1
    head += ["measured on"] if several else []
    rows = [
        [
            markdown_text(model["label"]),
            f.seconds(model.get("fit_seconds")),
            f.seconds(model.get("tune_seconds") or None),
            str(model.get("trials") or f.UNKNOWN),
            f.size(model.get("peak_bytes")),
            f.size(model.get("model_bytes")),
            f.seconds(model.get("request_seconds")),
            *([markdown_text(model.get("hardware") or f.UNKNOWN)] if several else []),
        ]
        for model in comparison["models"]
    ]
    return markdown_rows(head, rows)


def _longest_run(text: str, letter: str) -> int:
    longest = here = 0
    for one in text:
        here = here + 1 if one == letter else 0
        longest = max(longest, here)
    return longest
