"""Goals of the studies that need no HTTP; each has a page of its own."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.harness.results import Results

Goal = tuple[str, str, bool, str]  # what was wanted, what was measured, whether it is met, command
WANTED_MS = {"ease": 0.5, "elsa": 1.0}
PAGES = {
    "inside.md": "one recommendation inside the process, and the least that numpy could do",
    "memory.md": "what several processes hold of one model",
    "kills.md": "publishers that are killed",
    "events.md": "events a second, and processes killed while they store them",
    "../updates/updates.md": "exact updates beside fits",
}


def inside_goals(folder: Path) -> list[Goal]:
    """One recommendation without HTTP."""
    results = Results(folder / "inside.jsonl")
    goals: list[Goal] = []
    for name, most in WANTED_MS.items():
        if (row := results.get(name)) is not None:
            median, p99 = row["recommend"]["median_ms"], row["recommend"]["p99_ms"]
            measured = f"{median:.2f} ms (p99 {p99:.2f}); {row['bare']['median_ms']:.2f} by numpy"
            wanted = f"{name}: one recommendation inside the process ≤ {most:g} ms"
            goals.append((wanted, measured, median <= most, "inside.py run"))
    return goals


def kill_goals(folder: Path) -> list[Goal]:
    """Publishers that are killed, with the negative control."""
    results = Results(folder / "kills.jsonl")
    row, control = results.get("store"), results.get("plain")
    if row is None or control is None:
        return []
    wanted = "kill -9 of the publisher ≥ 300 times, ≥ 150 of them mid-publish: 0 corrupt"
    measured = (
        f"{row['kills']} kills, {row['within']} mid-publish, {row['corrupt']} corrupt, "
        f"{row['lost']} lost; control: {control['corrupt']} of {control['kills']} corrupt"
    )
    enough = row["kills"] >= 300 and row["within"] >= 150 and control["corrupt"] > 0
    return [(wanted, measured, enough and not row["corrupt"] and not row["lost"], "kills.py run")]


def event_goals(folder: Path) -> list[Goal]:
    """Events a second, and kills of who stores them."""
    results = Results(folder / "events.jsonl")
    goals: list[Goal] = []
    if (speed := results.get("speed")) is not None:
        rates = {k: statistics.median(v) for k, v in speed["rates"].items() if k[:6] == "append"}
        measured = "; ".join(f"{k.removeprefix('append ')}: {v:,.0f}" for k, v in rates.items())
        wanted = "≥ 3,000 events/s acknowledged on SQLite (threads × events of a call)"
        goals.append((wanted, measured, max(rates.values()) >= 3_000, "events.py run"))
    row, control = results.get("kill"), results.get("kill-control")
    if row is not None and control is not None:
        measured = (
            f"{row['kills']} kills, {row['in_the_middle']} in the middle of a call, "
            f"{row['acknowledged']:,} acknowledged, {row['lost']} lost; "
            f"control: {control['lost']:,} lost"
        )
        wanted = "kill -9 of a process that stores events: every acknowledged event is there"
        safe = not (row["lost"] or row["halves"] or row["damaged"]) and control["lost"] > 0
        goals.append((wanted, measured, safe, "events.py run"))
    return goals


def expression_goals(folder: Path) -> list[Goal]:
    """Filters and boosts that nobody would write."""
    results = Results(folder / "expressions.jsonl")
    rows = [results.get(n) or {} for n in results.names() if not n.startswith("bombs")]
    if not rows:
        return []
    total = {k: sum(row[k] for row in rows) for k in ("cases", "wrong", "crash")}
    measured = f"{total['cases']:,} cases, {total['crash']} crashes, {total['wrong']} wrong answers"
    met = total["cases"] >= 20_000 and not total["crash"] and not total["wrong"]
    for name in sorted(results.names("bombs-*"), key=len):
        slowest = max(bomb["seconds"] for bomb in (results.get(name) or {}).values())
        items = int(name.removeprefix("bombs-"))
        measured += f"; the worst bomb over {items:,} items took {slowest:.2f} s"
    return [("expression fuzz ≥ 20,000: 0 crashes", measured, met, "expressions.py")]


def update_goals(folder: Path) -> list[Goal]:
    """Updates without a fit."""
    rows = Results(folder.parent / "updates" / "results.jsonl").matching("*")
    if not rows:
        return []
    largest = max(row["difference"] for row in rows)
    fastest = max(rows, key=lambda row: row["fit_cpu_seconds"] / row["update_cpu_seconds"])
    ratio = fastest["fit_cpu_seconds"] / fastest["update_cpu_seconds"]
    measured = (
        f"at most {largest:.1e} of the largest weight; up to {ratio:,.0f} times as fast "
        f"({fastest['items']:,} items, {fastest['users']:,} users)"
    )
    wanted = "an update equals a fit to 1e-4"
    return [(wanted, measured, largest <= 1e-4, "../updates/run.py run")]


def other_goals(folder: Path) -> list[Goal]:
    """Goals of all of them."""
    return [
        *inside_goals(folder),
        *kill_goals(folder),
        *event_goals(folder),
        *expression_goals(folder),
        *update_goals(folder),
    ]


def other_sections(folder: Path) -> str:
    """Where their pages are."""
    there = [
        f"* [{name}]({name}): {about}\n"
        for name, about in PAGES.items()
        if (folder / name).exists()
    ]
    return "\n## More\n\n" + "".join(there) if there else ""
