"""What the pages of several studies share: figures of a peer's run, tables, the README's blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.data import BENCHMARKS
from benchmarks.harness.results import Row

README = BENCHMARKS.parent / "README.md"
GIB = 2**30


def short(value: float) -> str:
    """Seconds (or a ratio) with the digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def seconds(row: Row | None, stage: str, users: int | None = None) -> float | None:
    """Of a stage, extrapolated to so many users; None where it did not run."""
    found = (row or {}).get("stages", {}).get(stage)
    if found is None:
        return None
    return float(found["seconds"] * (users / found["users"] if users else 1))


def epoch_seconds(row: Row | None) -> float | None:
    """Of the fastest epoch; None where there was none."""
    return min((row or {}).get("epochs", []), default=None)


def peak(row: Row | None) -> float | None:
    """Bytes that the fit took beyond what was there before."""
    found = (row or {}).get("stages", {}).get("fit")
    return None if found is None else float(found["rss_after"] - found["rss_before"])


def table(head: str, lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rule = "|---" * (head.count("|") + 1) + "|"
    return "\n".join(["", f"| {head} |", rule, *(f"| {' | '.join(x)} |" for x in lines)]) + "\n"


def fill(page: Path, name: str, block: str) -> None:
    """Put a block between the marks of a page that have this name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(before + begin + block + end + after)
