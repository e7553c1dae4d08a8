"""serving.md and the README's block, from the results that the scripts of this folder have saved.

python benchmarks/serving/page.py            # --readme fills the README's block too
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.page import README, fill, short
from benchmarks.harness.results import Results
from benchmarks.serving.others import other_goals, other_sections

HERE = Path(__file__).parent
PEERS = {
    "shoal ease": "shoal, EASE",
    "shoal elsa": "shoal, ELSA with 512 factors",
    "implicit item-item": "implicit 0.7.3, item-item, behind FastAPI",
    "implicit als": "implicit 0.7.3, ALS with 128 factors, behind FastAPI",
    "rectools": "RecTools 0.19, EASE, behind FastAPI",
    "cicerone": "cicerone 0.8.5, serve mode (lists of the night before)",
    "fastapi": "FastAPI alone, one constant answer",
    "uvicorn": "uvicorn alone, one constant answer",
}
HEAD = """# The service, measured

Written by `benchmarks/serving/page.py`; no figure here is typed by hand. {machine}. 20,000 items, a
history of 20, the top 10; the load comes from a second process on the loopback, which runs on the
same two cores. Each script says at its top how it measures.
"""
Goal = tuple[str, str, bool, str]  # what was wanted, what was measured, whether it is met, command


def mb(bytes_: float) -> str:
    """Megabytes."""
    return f"{bytes_ / 1e6:,.0f} MB"


def machine(results: Results) -> str:
    """The machine and the versions in one sentence."""
    about = results.get("about") or {}
    versions = ", ".join(f"{name} {number}" for name, number in about.get("versions", {}).items())
    return (
        f"{about.get('processor', '')}, {about.get('cores', '?')} cores, "
        f"{about.get('memory', 0) / 2**30:.0f} GiB, {about.get('system', '')}, "
        f"Python {about.get('python', '')}, shoal {about.get('shoal', '')}, {versions}"
    ).strip(", ")


def http_goals(results: Results) -> list[Goal]:
    """Latency, throughput and memory."""
    goals: list[Goal] = []
    command = "over_http.py"
    for name in ("ease", "elsa"):
        row = results.get(f"http shoal {name}")
        if row is None:
            continue
        steady, most = row["steady"], row["saturated"]
        met = steady["p50"] <= 3 and steady["p99"] <= 15 and not steady["errors"]
        measured = f"p50 {steady['p50']:.1f} ms, p99 {steady['p99']:.1f} ms"
        goals.append((f"{name}: p50 ≤ 3 ms, p99 ≤ 15 ms at 200 requests/s", measured, met, command))
        ceiling = results.get("http fastapi")
        beside = f"; FastAPI alone {ceiling['saturated']['per_second']:,.0f}" if ceiling else ""
        goals.append(
            (
                f"{name}: ≥ 1,200 requests/s with one worker",
                f"{most['per_second']:,.0f}{beside}",
                most["per_second"] >= 1_200 and not most["errors"],
                command,
            )
        )
        workers = results.get(f"workers {name}")
        if workers is not None:
            one, two = (workers[n]["memory"] for n in ("1", "2"))
            goals.append(
                (
                    f"{name}: two workers hold the model once",
                    f"model {mb(one['model'])} → {mb(two['model'])}, all memory "
                    f"{mb(one['pss'])} → {mb(two['pss'])}",
                    two["model"] <= 1.05 * one["model"],
                    command,
                )
            )
    if (row := results.get("http events")) is not None:
        one, many = (row[n]["events_per_second"] for n in ("1", "20"))
        errors = sum(sum(row[n]["errors"].values()) for n in ("1", "20"))
        goals.append(
            (
                "≥ 3,000 events/s acknowledged over HTTP on SQLite",
                f"{one:,.0f} with one event in a request, {many:,.0f} with 20, {errors} errors",
                max(one, many) >= 3_000 and not errors,
                command,
            )
        )
    return goals


def swap_goals(results: Results) -> list[Goal]:
    """Swaps under load."""
    goals: list[Goal] = []
    for name in results.names("swaps *"):
        row = results.get(name) or {}
        moved, p99 = row["swapping"], row["p99"]
        clean = not moved["errors"] and not row["calm"]["errors"]
        model = name.removeprefix("swaps ")
        enough = moved["requests"] >= 100_000 and row["swaps"] >= 200
        goals.append(
            (
                f"{model}: 100,000 requests across 200 swaps, no error, one version per answer",
                f"{moved['requests']:,} requests, {row['swaps']} swaps, "
                f"{sum(moved['errors'].values())} errors",
                clean and enough,
                "swaps.py",
            )
        )
        goals.append(
            (
                f"{model}: p99 during swaps ≤ 2 × calm",
                f"{p99['all']:.1f} ms, calm {p99['calm']:.1f} ms",
                p99["all"] <= 2 * p99["calm"],
                "swaps.py",
            )
        )
    return goals


def robust_goals(results: Results) -> list[Goal]:
    """Kills, fuzz and soak."""
    goals: list[Goal] = []
    if (row := results.get("kill service")) is not None:
        lost = row["missing"] + row["twice"] + row["not_given_back"]
        goals.append(
            (
                "kill -9 under event load: every acknowledged event is there",
                f"{row['kills']} kills ({row['under_way']} while events were under way), "
                f"{row['acknowledged']:,} acknowledged, {row['missing']} missing, "
                f"{row['twice']} stored twice",
                not lost,
                "kill_service.py",
            )
        )
    if (row := results.get("fuzz")) is not None:
        varying = [r["cases"] for r in row["routes"].values() if r["varies"]]
        goals.append(
            (
                "schemathesis, ≥ 1,000 cases per route, all checks: no 5xx, no violation",
                f"{row['cases']:,} cases on {len(row['routes'])} routes (at least {min(varying):,} "
                f"where a request can vary), {row['5xx']} × 5xx, "
                f"{len(row['failures'])} violations",
                min(varying) >= 1_000 and not row["5xx"] and not row["failures"],
                "fuzz.py",
            )
        )
    for name in results.names("soak *"):
        row = results.get(name) or {}
        load, open_ = row["load"], row["descriptors"]
        flat = abs(row["slope"]["pss_anon"]) < 1 and open_["most"] - open_["least"] <= 25
        goals.append(
            (
                f"{name.removeprefix('soak ')}: {row['minutes']:g} minutes of mixed load: memory "
                "< 1 MB/min, descriptors constant",
                f"{row['slope']['pss_anon']:+.2f} MB/min, {open_['least']} to {open_['most']} "
                f"descriptors, {load['requests']:,} requests, {row['swaps']} swaps, "
                f"{sum(load['errors'].values())} errors",
                flat and not load["errors"] and row["minutes"] >= 10,
                "soak.py",
            )
        )
    return goals


def peers(results: Results) -> str:
    """The table of all servers."""
    lines = [
        "| server, one process | p50, ms | p99, ms | at req/s | at most, req/s | memory | load |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, label in PEERS.items():
        row = results.get(f"http {name}")
        if row is None:
            lines.append(f"| {label} | not run | | | | | |")
            continue
        steady, most = row["steady"], row["saturated"]
        errors = sum(steady["errors"].values()) + sum(most["errors"].values())
        mark = f" ({errors} errors)" if errors else ""
        lines.append(
            f"| {label} | {steady['p50']:.1f} | {steady['p99']:.1f} | {row['rate']:.3g} | "
            f"{short(most['per_second'])}{mark} | {mb(row['memory']['pss'])} | "
            f"{row['load_before']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def http_section(results: Results) -> str:
    """What stands beside the peers, and workers."""
    page = "\n## Over HTTP, beside others\n\n`python benchmarks/serving/over_http.py`\n\n"
    page += peers(results)
    page += (
        "\nThe rate is 200 requests/s, or half of what a server can answer if that is less. "
        "Latencies are counted from the time at which a request was due. *At most*: eight "
        "connections, each with one request under way. Memory is the proportional set size of the "
        "process, the mapped model included. cicerone looks a list up and takes no history; "
        "RecTools builds a data set of one user for each request, and its EASE copies the whole "
        "matrix at each call. shoal's answers alone carry the "
        "attributes of the items. *Load*: of the machine in the minute before, which others used "
        "too.\n"
    )
    rows = {name: results.get(f"workers {name}") for name in ("ease", "elsa")}
    if any(rows.values()):
        page += (
            "\n| | workers | requests/s | model | anonymous | all (PSS) |\n"
            "|---|---|---|---|---|---|\n"
        )
        for name, row in rows.items():
            for n, found in (row or {}).items():
                memory = found["memory"]
                page += (
                    f"| {name} | {n} | {found['saturated']['per_second']:,.0f} | "
                    f"{mb(memory['model'])} | {mb(memory['pss_anon'])} | {mb(memory['pss'])} |\n"
                )
        page += (
            "\nThe client, which needs a core of its own, and two workers share two cores. "
            "*Model*: the mapped arrays, pages of several processes counted once. *Anonymous*: "
            "what Python, the libraries, ids, titles and caches take in each process.\n"
        )
    return page


def swap_section(results: Results) -> str:
    """Swaps in detail."""
    names = results.names("swaps *")
    if not names:
        return ""
    page = (
        "\n## Swaps\n\n`python benchmarks/serving/swaps.py`\n\n| | rate | swaps | p99 calm, ms | "
        "p99 of all, ms | p99 while a version is loaded, ms | a swap takes, s | PSS before, most, "
        "after |\n|---|---|---|---|---|---|---|---|\n"
    )
    for name in names:
        row = results.get(name) or {}
        p99, memory = row["p99"], row["memory"]
        sizes = ", ".join(mb(memory[when]["pss"]) for when in ("before", "largest", "after"))
        inside = p99.get("while a version is loaded")
        page += (
            f"| {name.removeprefix('swaps ')} | {row['rate']:.0f}/s | {row['swaps']} | "
            f"{p99['calm']:.1f} | {p99['all']:.1f} | {inside or 0:.1f} | "
            f"{row['swap_seconds']:.2f} | {sizes} |\n"
        )
    return page


def fuzz_section(results: Results) -> str:
    """Cases of each route."""
    row = results.get("fuzz")
    if row is None:
        return ""
    page = (
        "\n## schemathesis\n\n`python benchmarks/serving/fuzz.py`; requests are those that the "
        "service itself counted, those outside of any case included.\n\n"
        "| path | cases | requests | 2xx | 4xx | 5xx |\n|---|---|---|---|---|---|\n"
    )
    for path, found in row["routes"].items():
        by = {k: sum(n for s, n in found["statuses"].items() if s[0] == k) for k in "245"}
        page += f"| {path} | {found['cases']:,} | {found['requests']:,} | "
        page += " | ".join(f"{by[k]:,}" for k in "245") + " |\n"
    return page


def render(results: Results) -> str:
    """The page."""
    goals = [
        *http_goals(results),
        *swap_goals(results),
        *robust_goals(results),
        *other_goals(HERE),
    ]
    page = HEAD.format(machine=machine(results))
    page += "\n## Goals\n\n| goal | measured | met | command |\n|---|---|---|---|\n"
    for goal, measured, met, command in goals:
        page += f"| {goal} | {measured} | {'yes' if met else '**no**'} | `{command}` |\n"
    page += http_section(results) + swap_section(results) + fuzz_section(results)
    return page + other_sections(HERE)


def readme_block(results: Results) -> str:
    """What the README shows."""
    return (
        "One process on 2 cores, 20,000 items, a history of 20, top 10, load from a second process "
        "(`python benchmarks/serving/over_http.py`):\n\n" + peers(results)
    )


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readme", action="store_true", help="fill the README's block too")
    parser.add_argument("--results", type=Path, default=HERE, help="folder of results and page")
    given = parser.parse_args()
    results = Results(given.results / "results.jsonl")
    (given.results / "serving.md").write_text(render(results))
    if given.readme:
        fill(README, "serving", readme_block(results))


if __name__ == "__main__":
    main()
