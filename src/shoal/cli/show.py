"""What the command line prints: tables for people, JSON for programs."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from shoal.cli.terminal import (
    is_terminal,
    shows_all_characters,
    visible,
    width_for_tables,
    write_bytes,
)
from shoal.experiments.plain_data import finite
from shoal.experiments.text_table import table_lines
from shoal.run import Run, duration, human_bytes

if TYPE_CHECKING:
    import polars as pl

    from shoal.base.recommender import Recommender
    from shoal.data.facts import LogFacts
    from shoal.evaluation.evaluate import Evaluation
    from shoal.evaluation.ratings import RatingEvaluation
    from shoal.experiments.comparison.compare import Comparison
    from shoal.experiments.plan import Plan
    from shoal.experiments.tasks import AnyEvaluation
    from shoal.inference.recommendations import Recommendations

console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

_UNLIMITED = 100_000  # characters of a line in a file or a pipe


def as_json(value: Any) -> None:
    """Print plain data as JSON; numbers that are not finite become null.

    Characters that the output does not have, and control characters, are written as escapes, which
    mean the same.
    """
    text = json.dumps(
        finite(value), ensure_ascii=not shows_all_characters(sys.stdout), indent=1, default=str
    )
    escaped = re.sub("[\x7f-\x9f\ud800-\udfff]", lambda c: f"\\u{ord(c[0]):04x}", text)
    print(escaped)  # noqa: T201


def line(text: str = "", style: str = "") -> None:
    r"""Print a line as it is: nothing in it is markup, and control characters are written out."""
    console.print(Text(visible(text), style=style))


def moment(time: str) -> str:
    """A time as ISO 8601 writes it, to the minute."""
    return time[:16].replace("T", " ")


def paragraph(text: str, style: str = "") -> None:
    """Print several lines, each as `line` does."""
    for part in text.split("\n"):
        line(part, style)


def print_table(table: Table) -> None:
    """Print a table of texts: wrapped on a terminal, elsewhere in lines as long as needed."""
    if is_terminal(sys.stdout):
        console.print(table)
    else:
        Console(width=_UNLIMITED, highlight=False, markup=False, emoji=False).print(table)


def table(rows: list[list[str]]) -> None:
    """Print a table of numbers, none of which is ever cut."""
    for text in table_lines(rows, width_for_tables()):
        line(text)


def csv(frame: pl.DataFrame, *, guard_formulas: bool) -> None:
    """Print a frame as CSV: the bytes that a file would hold, unless a person watches."""
    from shoal.files import csv_bytes

    data = csv_bytes(frame, guard_formulas=guard_formulas)
    if is_terminal(sys.stdout):
        paragraph(data.decode("utf-8").rstrip("\n"))
    else:
        write_bytes(data)


def aside(text: str) -> None:
    """Print a line to standard error, where standard output holds a table or JSON."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(visible(text), style="yellow"))


def log_lines(log: LogFacts) -> None:
    """Print how a log was read and prepared, and its size."""
    for note in log.notes:
        line(note, "dim")
    for step in log.report:
        line(str(step), "dim")
    density = len(log) / (log.n_users * log.n_items)
    line(
        f"{log.n_users:,} users × {log.n_items:,} items, {len(log):,} interactions "
        f"({density:.2%} dense)"
    )


def estimate(model: Recommender, log: LogFacts, run: Run) -> None:
    """Print how much memory a fit will take, before it does."""
    need = model.bytes_for(log)
    budget = human_bytes(run.memory_budget)
    line(f"fitting {model.name} takes about {human_bytes(need)} of {budget}", "dim")


def log_dict(log: LogFacts) -> dict[str, Any]:
    """What `log_lines` prints, as plain data."""
    return {
        "users": log.n_users,
        "items": log.n_items,
        "interactions": len(log),
        "notes": list(log.notes),
        "steps": [
            {"name": s.name, "rows_in": s.rows_in, "rows_kept": s.rows_kept, "why": s.why}
            for s in log.report
        ],
    }


def evaluation_lines(evaluation: AnyEvaluation) -> None:
    """Print one model's metrics, with what they mean."""
    from shoal.evaluation.ratings import RatingEvaluation

    line(f"{evaluation.model} {parameters_text(evaluation.parameters)}".strip(), "bold")
    if isinstance(evaluation, RatingEvaluation):
        _rating_scores(evaluation)
    else:
        _ranking_scores(evaluation)


def _ranking_scores(evaluation: Evaluation) -> None:
    from shoal.metrics import parse

    rows = [["metric", "mean", "± s.e.", "users"]]
    definitions: dict[str, str] = {}
    for name, score in evaluation.scores.items():
        se = "" if score.se is None else f"{score.se:.4f}"
        rows.append([name, f"{score.mean:.4f}", se, f"{score.n_users:,}"])
        definitions[parse(name).base] = parse(name).definition
    line(evaluation.protocol)
    for note in evaluation.notes:
        line(note)
    table(rows)
    for base, definition in definitions.items():
        line(f"{base}@k: {definition}", "dim")
    if any(parse(name).group for name in evaluation.scores):
        line("head, tail: the most popular 20 % of items by training users, and the rest", "dim")


def _rating_scores(evaluation: RatingEvaluation) -> None:
    from shoal.evaluation.ratings import DEFINITIONS

    n_users = len(evaluation.users)
    line(f"{evaluation.protocol}: {evaluation.n_ratings:,} ratings of {n_users:,} users")
    for name, score in evaluation.scores.items():
        line(f"  {name:<14} {score}")
    cold = f"{evaluation.cold_users:,} of a cold user, {evaluation.cold_items:,} of a cold item"
    line(f"of these ratings {cold}: predicted by a default", "dim")
    for name, definition in DEFINITIONS.items():
        line(f"{name}: {definition}", "dim")


def parameters_text(parameters: dict[str, Any]) -> str:
    """Hyper-parameters in one line."""
    return ", ".join(
        f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in parameters.items()
    )


def comparison_table(comparison: Comparison) -> None:
    """Print the leaderboard, what the models cost, and the verdict."""
    from shoal.experiments.comparison.leaderboard import leaderboard

    if comparison.entries:
        line(comparison.heading, "dim")
        for text in leaderboard(comparison.entries, width_for_tables()):
            line(text)
        if any(entry.tied for entry in comparison.entries):
            line(comparison.about_ties, "dim")
        if len(comparison.seeds) > 1:
            line(comparison.about_spread, "dim")
        for note in comparison.notes:
            line(note, "dim")
    for name, why in comparison.refused.items():
        line(f"{name} was left out: {why}", "yellow")
    for text in comparison.judgement.lines:
        line(text)


def how_many_reasons(json_output: bool) -> bool | int:
    """The `because` of an answer: a person reads the strongest three, a program gets all."""
    return True if json_output else 3


def recommendations(answer: Recommendations, json_output: bool) -> None:
    """Print recommendations for a person or a program."""
    if json_output:
        as_json(recommendation_dict(answer))
    else:
        recommendation_lines(answer)


def recommendation_dict(answer: Recommendations) -> dict[str, Any]:
    """Plain data for JSON, one row per item."""
    return {
        "items": [
            {
                "rank": r.rank,
                "item": r.item,
                "id": r.item,  # the same, for programs that know it by this name
                "score": r.score,
                "attributes": r.attributes,
                "cold": r.cold,
                "evidence": r.evidence,
                "because": [
                    {"item": w.item, "id": w.item, "contribution": w.contribution}
                    for w in r.because
                ],
            }
            for r in answer
        ],
        "unknown": list(answer.unknown),
        "shortfall": answer.shortfall,
        "fallback": answer.fallback or None,
        "notes": list(answer.notes),
        "unranked": list(answer.unranked),
    }


def recommendation_lines(answer: Recommendations) -> None:
    """Print recommendations with their reasons."""
    from shoal.inference.recommendations import label, reason_label, remarks

    for r in answer:
        text = f"{r.rank:3}. {label(r.item, r.attributes)}   {_details(r.attributes)}{r.score:.4f}"
        line(text + remarks(r))
        for why in r.because:
            if why.less and not why.contribution:
                continue
            line(f"       {why.contribution:+.4f} {reason_label(why)}", "dim")
    for remark in answer.remarks:
        line(remark, "yellow")


def _details(attributes: dict[str, Any]) -> str:
    genres = attributes.get("genres")
    return f"{str(genres).replace('|', ', ')}   " if genres else ""


def plan_table(plan: Plan) -> None:
    """Print what each model would take, and which would be refused."""
    rows = [["model", "fit", "an epoch", "memory", "model size"]]
    for estimate in plan.estimates:
        fit = "–" if estimate.seconds is None else duration(estimate.seconds)
        if estimate.refused:
            needed = estimate.seconds_if_it_fitted
            fit = "refused" if needed is None else f"refused ({duration(needed)})"
        of_epoch = estimate.seconds_of_epoch
        size = estimate.bytes_of_model
        rows.append(
            [
                estimate.model,
                fit,
                "" if of_epoch is None else f"{duration(of_epoch)} × {estimate.epochs}",
                human_bytes(estimate.bytes_to_fit),
                "–" if size is None else human_bytes(size),
            ]
        )
    line(
        f"{plan.n_users:,} users × {plan.n_items:,} items, {plan.n_interactions:,} "
        f"interactions; {human_bytes(plan.bytes_of_log)} of log"
    )
    line(f"memory that a fit may take: {human_bytes(plan.budget)}")
    table(rows)
    for reason, names in plan.refusals().items():
        line(f"{', '.join(names)}{' each' if len(names) > 1 else ''} {reason}", "yellow")
    for note in plan.notes:
        line(note, "dim")
