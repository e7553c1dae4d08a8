"""Writes the page and the figure of tuning/run.py from its results."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

from benchmarks.harness.page import short
from benchmarks.harness.results import Results, Row
from benchmarks.tuning.rungs import table

WAYS = {
    "random": "random draw, a fit for each (shoal before)",
    "optuna": "Optuna's TPE, a fit for each",
    "shoal": "shoal now",
}
STUDIES = {
    "ml-1m": "RDLAE (λ, p, β, ξ, α) on MovieLens-1M",
    "gowalla": "RDLAE (λ, p, β, ξ, α) on Gowalla",
    "gowalla-10k": "RDLAE (λ, p, β, ξ, α) on the 10,000 most popular items of Gowalla",
    "deep": "Mult-VAE (lr, factors, dropout, β) on MovieLens-1M",
}
TIMES = (5, 10, 20, 30, 60, 120, 180, 300, 450, 600, 900, 1200, 1500, 1800, 2400)  # seconds
NOT_ASKED = {("deep", "random")}
GOAL = 4  # times as fast as the other ways

HEAD = """# Quality per minute of tuning

Written by `benchmarks/tuning/run.py`; no figure here is typed by hand.

    SHOAL_DATA=… python benchmarks/tuning/run.py ml-1m
    SHOAL_DATA=… python benchmarks/tuning/run.py gowalla
    SHOAL_DATA=… python benchmarks/tuning/run.py gowalla-10k
    SHOAL_DATA=… python benchmarks/tuning/run.py deep
    SHOAL_DATA=… python benchmarks/tuning/run.py parts
    SHOAL_DATA=… python benchmarks/tuning/run.py rungs

The score is the best validation NDCG@100 so far. Each way of tuning has the same minutes, searches
the ranges that the model declares, begins with the defaults, and runs in a process of its own; a
trial that has begun is brought to its end. *random draw* is what `shoal.tune` did before: settings
drawn at random, each fitted by itself. *Optuna's TPE* is Optuna as its documentation shows it, with
the same fits. *shoal now* is `search`: of closed forms one inverse serves many settings, large
catalogues are searched on their most popular items first, and deep models are stopped early by
successive halving. Trials that were stopped early, or fitted to a part, cost time and give no
score. Kernels are compiled before the clock starts; reading and splitting is not in the times.

![best score by time](tuning.png)
"""


def curve(row: Row, clock: str = "at") -> list[tuple[float, float]]:
    """The time and the score of each trial that was better than all before.

    Trials that were stopped early, or fitted to a part, do not count.
    `clock` is "at" for seconds on the wall, "cpu" for those of the processor.
    """
    steps: list[tuple[float, float]] = []
    for trial in row["trials"]:
        counts = trial["state"] == "complete"
        if counts and (not steps or trial["score"] > steps[-1][1]):
            steps.append((trial[clock], trial["score"]))
    return steps


def score_at(row: Row, seconds: float) -> float | None:
    """The best score after so many seconds; None before the first."""
    reached = [score for at, score in curve(row) if at <= seconds]
    return max(reached, default=None)


def time_to(row: Row, score: float, clock: str = "at") -> float | None:
    """Seconds until a score is reached; None if it is not."""
    return next((at for at, reached in curve(row, clock) if reached >= score), None)


def rows_of(results: Results, study: str) -> dict[str, dict[str, Row]]:
    """The results of each way, by seed."""
    found = {}
    for way in WAYS:
        names = results.names(f"{study}-{way}-*")
        rows = {name.rpartition("-")[2]: results.get(name) for name in names}
        found[way] = {seed: row for seed, row in rows.items() if row is not None}
    return {way: rows for way, rows in found.items() if rows}


def render(results: Results) -> str:
    """The whole page."""
    studies = "".join(_study(results, name) for name in STUDIES)
    return HEAD + studies + _parts(results) + _rungs(results)


def _study(results: Results, name: str) -> str:
    found = rows_of(results, name)
    text = f"\n## {STUDIES[name]}\n\n"
    if not found:
        return text + "Not yet measured.\n"
    some = next(iter(next(iter(found.values())).values()))
    missing = [WAYS[way] for way in WAYS if way not in found and (name, way) not in NOT_ASKED]
    text += (
        f"{some['users']:,} users, {some['items']:,} items, {some['interactions']:,} interactions, "
        f"{some['validation_users']:,} validation users; {some['minutes']:g} minutes for each "
        f"way and seed, {some['threads']} threads."
    )
    text += f" Not yet measured: {', '.join(missing)}." if missing else ""
    text += "\n\n| | seeds | trials | of them fitted in full | best NDCG@100 | peak, GB | "
    text += "load before, after |\n" + "|---" * 7 + "|\n"
    for way, rows in found.items():
        text += f"| {' | '.join(_cells(way, rows))} |\n"
    return text + _busy(found) + _against(found) + _curves(found)


def _busy(found: dict[str, dict[str, Row]]) -> str:
    """A warning, where other work ran on the machine."""
    rows = [row for by_seed in found.values() for row in by_seed.values()]
    cores, load = rows[0]["cores"], max(max(r["load_before"], r["load_after"]) for r in rows)
    if load <= 1.5 * cores:
        return ""
    return (
        f"\n**The machine was busy**: a load of up to {load:g} on {cores} cores. So there were few "
        "fits in these minutes, and the times show little; measure again on a quiet one.\n"
    )


def _cells(way: str, rows: dict[str, Row]) -> list[str]:
    trials = [len(row["trials"]) for row in rows.values()]
    in_full = [sum(t["state"] == "complete" for t in row["trials"]) for row in rows.values()]
    best = [curve(row)[-1][1] for row in rows.values()]
    spread = f" ({min(best):.4f} to {max(best):.4f})" if len(best) > 1 else ""
    loads = [load for row in rows.values() for load in (row["load_before"], row["load_after"])]
    return [
        WAYS[way], str(len(rows)), f"{mean(trials):,.0f}", f"{mean(in_full):,.0f}",
        f"{mean(best):.4f}{spread}", f"{max(row['peak_bytes'] for row in rows.values()) / 1e9:.1f}",
        f"{min(loads):g} to {max(loads):g}",
    ]  # fmt: skip


def _against(found: dict[str, dict[str, Row]]) -> str:
    """How soon shoal has what another way has in the end, seed by seed."""
    if "shoal" not in found:
        return ""
    text = (
        "\nWhen shoal has the best score that the other way has after its whole time. *By the "
        "processor* is the same with the seconds that each process had of the processor, which "
        "other work on the machine changes less.\n\n"
        "| against | seed | its best | it took, s | shoal took, s | times as fast | by the "
        "processor, s | times as fast | than its whole time |\n" + "|---" * 9 + "|\n"
    )
    goals = []
    for base in ("random", "optuna"):
        for seed in sorted(found.get(base, {}).keys() & found["shoal"].keys()):
            own, other = found["shoal"][seed], found[base][seed]
            at, best = curve(other)[-1]
            cells = [WAYS[base], seed, f"{best:.4f}", short(at)]
            reached, processor = time_to(own, best), time_to(own, best, "cpu")
            if reached is None or processor is None:
                goals.append(0.0)
                text += f"| {' | '.join([*cells, 'not reached', '–', '–', '–', '–'])} |\n"
                continue
            goals.append(other["seconds"] / reached)
            cpu = curve(other, "cpu")[-1][0]
            cells += [short(reached), short(at / reached), f"{short(processor)} of {short(cpu)}"]
            cells += [short(cpu / processor), short(goals[-1])]
            text += f"| {' | '.join(cells)} |\n"
    met = sum(goal >= GOAL for goal in goals)
    return text + (
        f"\nThe goal, what another way has after its whole time in ≤ 1/{GOAL:g} of that time, is "
        f"met in {met} of {len(goals)} comparisons.\n"
    )


def _curves(found: dict[str, dict[str, Row]]) -> str:
    longest = max(row["seconds"] for rows in found.values() for row in rows.values())
    times = [t for t in TIMES if t <= longest]
    text = (
        "\nThe best score after so many seconds, mean over the seeds (– before all have one):\n\n"
    )
    text += "| seconds | " + " | ".join(WAYS[way] for way in found) + " |\n"
    text += "|---" * (len(found) + 1) + "|\n"
    for seconds in times:
        cells = []
        for rows in found.values():
            scores = [score_at(row, seconds) for row in rows.values()]
            known = [s for s in scores if s is not None]
            cells.append(f"{mean(known):.4f}" if len(known) == len(rows) else "–")
        text += f"| {seconds:,} | {' | '.join(cells)} |\n"
    return text


def _parts(results: Results) -> str:
    text = "\n## Which part of a catalogue to search first\n\n"
    names = [n.removeprefix("parts-") for n in results.names("parts-*")]
    if not names:
        return text + "Not yet measured.\n"
    text += (
        "A grid of settings of RDLAE (λ, p, β, ξ, α), scored on a whole catalogue and on parts of "
        "it: the most popular items, or as many evenly over all popularities. *Agreement* is "
        "Spearman's correlation of the scores with those of the whole. *Lost* is how far the best "
        "of the whole lies above the best that one finds who confirms 1, 3 or 5 of the part's best "
        "on the whole. *Scaled*: ridges divided by r(β), as `tuning/subcatalogue.py` says.\n"
    )
    for name in names:
        row = results.get(f"parts-{name}") or {}
        text += (
            f"\n{name}, its {row['items']:,} most popular items as the whole: {row['settings']} "
            f"settings, best {row['best']:.4f}, median {row['median']:.4f}, "
            f"{short(row['seconds'])} s; load {row['load_before']:g} to {row['load_after']:g}.\n\n"
            "| items | which | ridges | agreement | lost of 1, 3, 5 | s |\n"
            "|---|---|---|---|---|---|\n"
        )
        for part in row["parts"]:
            lost = ", ".join(f"{value:.4f}" for value in part["lost"].values())
            ridges = "scaled" if part["scaled"] else "the same"
            text += f"| {part['items']:,} | {part['way']} | {ridges} | {part['spearman']:.3f} | "
            text += f"{lost} | {short(part['seconds'])} |\n"
    return text


def _rungs(results: Results) -> str:
    text = "\n## When to stop a training that is behind\n"
    rows = results.matching("rungs-*")
    return text + (table(rows) if rows else "\nNot yet measured.\n")


def plot(results: Results, path: Path) -> None:
    """Best score by time, a panel for each study."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    known = [name for name in STUDIES if rows_of(results, name)]
    if not known:
        return
    figure, axes = plt.subplots(
        1, len(known), figsize=(5 * len(known), 4.2), layout="constrained", squeeze=False
    )
    for panel, name in zip(axes[0], known, strict=True):
        for number, (way, rows) in enumerate(rows_of(results, name).items()):
            for seed, row in enumerate(rows.values()):
                at, score = zip(*curve(row), strict=True)
                ends = max(row["seconds"], at[-1])
                panel.step(
                    [*at, ends], [*score, score[-1]], where="post", color=f"C{number}",
                    alpha=0.8, label=WAYS[way] if seed == 0 else None,
                )  # fmt: skip
        panel.set(xscale="log", xlabel="seconds")
        panel.set_title(STUDIES[name].replace(" on ", "\non "), loc="left", fontsize=10)
        panel.grid(alpha=0.3)
    axes[0][0].set_ylabel("best validation NDCG@100 so far")
    axes[0][0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)
