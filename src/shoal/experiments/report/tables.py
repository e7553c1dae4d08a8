"""The leaderboard as Markdown, LaTeX and CSV.

A comparison is a dictionary as `results.json` holds one for each data set. What people gave (names
of models, data and runs) is escaped in each form.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from shoal.experiments.report import formats as f

Comparison = Mapping[str, Any]

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "–": "--", "−": "$-$", "×": r"$\times$", "±": r"$\pm$", "µ": r"\textmu{}", "≥": r"$\geq$",
    "\n": " ", "\r": " ",
}  # fmt: skip
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&])")
_FORMULA = re.compile(r"^[=+\-@\t\r]")  # what spreadsheets would compute


def latex_text(value: Any) -> str:
    """A text in which LaTeX sees no command."""
    return "".join(_LATEX.get(letter, letter) for letter in str(value))


def markdown_text(value: Any) -> str:
    """A text in one line in which Markdown and HTML see no markup."""
    return _MARKDOWN.sub(r"\\\1", re.sub(r"\s+", " ", str(value)))


def markdown_rows(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 1) -> str:
    """A table; the columns from number `numbers` on are aligned to the right."""
    rule = ["---" if place < numbers else "---:" for place in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def with_error(score: Mapping[str, Any] | None) -> str:
    """The mean of a metric ± its standard error, where there is one."""
    if not score:
        return f.UNKNOWN
    text = f.decimals(score.get("mean"))
    return text if score.get("se") is None else f"{text} ± {f.decimals(score['se'])}"


def several_seeds(comparison: Comparison) -> bool:
    """Whether there is a spread over seeds to tell of."""
    return len(comparison.get("seeds") or ()) > 1


def verdict_lines(verdict: Mapping[str, Any]) -> list[str]:
    """The verdict in words, a line for each of its answers; older results have them in one."""
    return list(verdict.get("lines") or [verdict.get("text") or "No model could be fitted."])


def sizes(data: Mapping[str, Any]) -> str:
    """How large the data are: ``6,040 users, 3,706 items, …``, as far as it is known."""
    known = [key for key in ("users", "items", "interactions") if data.get(key)]
    return ", ".join(f"{f.count(data[key])} {key}" for key in known)


def shown_metrics(comparison: Comparison) -> list[str]:
    """The metrics of a table, the deciding one first."""
    decides = comparison["metric"]
    return [decides, *(name for name in comparison.get("metrics", ()) if name != decides)]


def markdown_table(comparison: Comparison) -> str:
    """The leaderboard of one data set as a Markdown table."""
    metrics, several = shown_metrics(comparison), several_seeds(comparison)
    head = ["model", "kind", *metrics, *(["spread over seeds"] if several else []), "fit", "size"]
    rows = []
    for model in comparison["models"]:
        scores = model["metrics"]
        cells = [with_error(scores.get(name)) for name in metrics]
        if several:
            cells.append(f.decimals((scores.get(metrics[0]) or {}).get("spread")))
        name = markdown_text(model["label"]) + (" =" if model.get("tied") else "")
        rows.append(
            [
                *(name, model.get("kind", ""), *cells),
                *(f.seconds(model.get("fit_seconds")), f.size(model.get("model_bytes"))),
            ]
        )
    return markdown_rows([markdown_text(h) for h in head], rows, numbers=2)


def latex_table(comparison: Comparison) -> str:
    """The leaderboard of one data set as a LaTeX table of the package booktabs."""
    metrics, data = shown_metrics(comparison), comparison["data"]
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_caption(comparison)}}}",
        rf"  \label{{tab:{re.sub(r'[^A-Za-z0-9-]+', '-', str(data['name']))}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(metrics) + 1)}}}",
        r"    \toprule",
        "    " + " & ".join(["Model", *map(latex_text, metrics), "Fit"]) + r" \\",
        r"    \midrule",
    ]
    for model in comparison["models"]:
        cells = [_latex_score(model["metrics"].get(name)) for name in metrics]
        if model["label"] == (comparison.get("verdict") or {}).get("best"):
            cells[0] = rf"\textbf{{{cells[0]}}}"
        name = latex_text(model["label"]) + ("$^{=}$" if model.get("tied") else "")
        cost = latex_text(f.seconds(model.get("fit_seconds")))
        lines.append("    " + " & ".join([name, *cells, cost]) + r" \\")
    return "\n".join([*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table}"])


def _latex_score(score: Mapping[str, Any] | None) -> str:
    if not score or score.get("mean") is None:
        return "--"
    text = latex_text(f.decimals(score["mean"]))
    if score.get("se") is None:
        return text
    return rf"{text} {{\scriptsize$\pm${f.decimals(score['se'])}}}"


def _caption(comparison: Comparison) -> str:
    """What the table shows, for those who see nothing but the table."""
    data, seeds = comparison["data"], comparison.get("seeds") or ()
    text = f"{data['name']}: {f.count(comparison.get('users'))} test users"
    if comparison.get("protocol"):
        text += f" ({comparison['protocol']})"
    text += ", mean ± standard error over users"
    if len(seeds) > 1:
        text += f", {len(seeds)} seeds"
    caption = latex_text(f"{text}.")
    if any(model.get("tied") for model in comparison["models"]):
        metric = latex_text(comparison["metric"])
        caption += (
            rf" $^{{=}}$ The difference to the best by {metric} could be chance "
            r"(paired $t$-test, Holm's correction, $p \geq 0.05$)."
        )
    return caption


def csv_table(comparisons: Sequence[Comparison]) -> str:
    """All models of all data sets as one CSV table: a row each, with unrounded numbers.

    Texts that a spreadsheet would take for a formula get a ``'`` before them.
    """
    metrics = list(dict.fromkeys(m for c in comparisons for m in shown_metrics(c)))
    parts = ("", "_se", "_spread")
    costs = (
        "fit_seconds", "tune_seconds", "trials", "peak_bytes", "model_bytes", "request_seconds",
    )  # fmt: skip
    against = ("difference", "low", "high", "p", "p_holm")
    head = ["data", "place", "label", "model", "kind", "tied", "seeds", "users"]
    head += [name + part for name in metrics for part in parts]
    head += [*costs, *(f"{name}_to_best" for name in against), "settings"]
    rows: list[list[Any]] = [head]
    for comparison in comparisons:
        for place, model in enumerate(comparison["models"], start=1):
            scores = [model["metrics"].get(name) or {} for name in metrics]
            to_best = dict(model.get("against_best") or {})
            to_best["low"], to_best["high"] = to_best.get("ci95") or (None, None)
            rows.append(
                [
                    _guarded(comparison["data"]["name"]),
                    place,
                    *(_guarded(model.get(name, "")) for name in ("label", "model", "kind")),
                    str(bool(model.get("tied"))).lower(),
                    len(comparison.get("seeds") or ()) or 1,
                    comparison.get("users"),
                    *(s.get(key) for s in scores for key in ("mean", "se", "spread")),
                    *(model.get(name) for name in costs),
                    *(to_best.get(name) for name in against),
                    json.dumps(model.get("settings") or {}, ensure_ascii=False, default=str),
                ]
            )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _guarded(text: Any) -> str:
    return f"'{text}" if _FORMULA.match(str(text)) else str(text)


def latex_document(comparisons: Sequence[Comparison]) -> str:
    """The LaTeX tables of all data sets, to be read by a document that loads booktabs."""
    head = "% \\usepackage{booktabs} belongs into the preamble."
    return "\n\n".join([head, *map(latex_table, comparisons)]) + "\n"
