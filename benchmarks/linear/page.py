"""Writes the page of linear/run.py from its results."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness.page import GIB, peak, seconds, short
from benchmarks.harness.results import Results, Row

HEAD = """# Speed and memory of the linear core

Written by `benchmarks/linear/run.py`; no figure here is typed by hand. Data are synthetic and
seeded (`harness/synthetic.py`), made for seconds and bytes: read no quality into them but
*agreement*.
"""

ABOUT = """
Everyone is given the same matrix (training rows, and 80 % of the items of the last users), fits
EASE with λ = 300 in an environment and a process of its own, and is used as its documentation
shows. Reading and converting the data is not in the times, nor is the import. **Fit peak** is the
most that the process held during the fit, less what it held before (the data included).
**Recommend** is top-100 without what was seen, for all users; **evaluate** is scoring, NDCG@100 and
Recall@20 of the held-out users by the library's own evaluator. `≈` is extrapolated, from the number
of users that stands in the table after. In brackets: times shoal's.

*numpy* is what one writes first: float64, `np.linalg.inv`, blocks of 1,000 users. *sketch* is
careful float32: `spotrf`/`spotri` in place, C-ordered weights, blocks of 500 users on all threads.
*implicit* has no EASE; its item-kNN stands here to show what its compiled code takes. shoal's
kernels are loaded from numba's cache before the clock starts; what that costs is in the table of
kernels.
"""

NAMES = {"small": "Small", "ml20m": "The shape of MovieLens-20M", "tiny": "Tiny: means nothing"}


def _cell(row: Row, mine: Row | None, stage: str, users: int | None = None) -> str:
    value, ours = seconds(row, stage, users), seconds(mine, stage, users)
    if value is None:
        return "–"
    far = users is not None and row["stages"][stage]["users"] < users
    times = f" ({short(value / ours)})" if ours and row["peer"] != "shoal" else ""
    return f"{'≈ ' if far else ''}{short(value)}{times}"


def _peak_cell(row: Row, mine: Row | None) -> str:
    most, ours = peak(row), peak(mine)
    if most is None:
        return "–"
    times = f" ({short(most / ours)})" if ours and row["peer"] != "shoal" else ""
    return f"{most / GIB:.2f}{times}"


def _table(results: Results, shape: str, peers: Sequence[str]) -> str:
    found = [(peer, row) for peer in peers if (row := results.get(f"{shape}-{peer}"))]
    if not found:
        return ""
    data = results.get(f"{shape}-data") or {}
    mine = next((row for peer, row in found if peer == "shoal"), None)
    users, held_out = data["n_users"], data["n_held_out"]
    some = next((row for _, row in found if "cores" in row), {})
    text = f"\n## {NAMES[shape]}: {users:,} users × {data['n_items']:,} items, "
    text += f"{data['interactions']:,} interactions\n\n"
    text += f"Median {data['items_per_user_median']:g} items a user, the most popular item has "
    text += (
        f"{data['top_item_users']:.0%} of the users, seed {data['seed']}; {held_out:,} held-out "
    )
    text += f"users. {some.get('cores')} cores, {some.get('threads')} threads.\n\n"
    text += (
        "| | fit, s | fit peak, GiB | recommend all, s | evaluate, s | overlap | NDCG@100 off by "
    )
    text += "|\n|---|---|---|---|---|---|---|\n"
    for peer, row in found:
        agree = row.get("agreement")
        cells = [
            peer + ("" if "model" not in row else " †"),
            _cell(row, mine, "fit"),
            _peak_cell(row, mine),
            _cell(row, mine, "recommend", users),
            _cell(row, mine, "evaluate", held_out),
            "–" if agree is None or "model" in row else f"{agree['overlap']:.4f}",
            _quality(row, mine),
        ]
        text += f"| {' | '.join(cells)} |\n"
    text += (
        "\n*overlap*: share of the top-100 of 200 users that a float64 reference recommends too. "
    )
    text += "*NDCG@100 off by*: against shoal's on the same users.\n"
    text += _details(found)
    return text


def _quality(row: Row, mine: Row | None) -> str:
    own = row.get("quality")
    if own is None or "model" in row or mine is None or "quality" not in mine:
        return "–"
    if row["peer"] == "shoal":
        return f"({own['ndcg@100']:.7f})"
    same = mine["quality"].get("of_the_first", {}).get(str(own["users"]))
    if same is None:
        return "–"
    return f"{abs(own['ndcg@100'] - same['ndcg@100']):.1e}"


def _details(found: list[tuple[str, Row]]) -> str:
    text = "\n| | recommend, evaluate: users | versions | load before | notes |\n"
    text += "|---|---|---|---|---|\n"
    for peer, row in found:
        counts = [
            f"{row['stages'][stage]['users']:,}" if stage in row["stages"] else "–"
            for stage in ("recommend", "evaluate")
        ]
        notes = [f"**failed**: {row['failed']}"] if "failed" in row else []
        notes += ["† " + row["model"]] if "model" in row else []
        notes += [f"{stage}: {note}" for stage, note in row.get("notes", {}).items()]
        for stage, one in row["stages"].items():
            if stage not in ("fit", "recommend", "evaluate"):
                notes.append(f"{stage}: {short(one['seconds'])} s")
        versions = {n: v for n, v in row.get("versions", {}).items() if n != "shoal"}
        text += f"| {peer} | {', '.join(counts)} | "
        text += ", ".join(f"{name} {version}" for name, version in versions.items())
        text += f" | {row['load_before']:.1f} | {'; '.join(notes).replace('|', chr(92) + '|')} |\n"
    return text


def _scale(results: Results) -> str:
    found = results.get("scale")
    if found is None:
        return ""
    text = "\n## The fit by number of items\n\n![seconds by number of items](linear-scale.png)\n\n"
    text += (
        f"{found['cores']} cores, {found['threads']} threads; users = 4 × items, 75 items each. "
    )
    text += (
        "*sgemm* is n³ flops of the machine's own matrix product, which is what the inverse takes "
    )
    text += (
        "in flops.\n\n| items | Gram, s | inverse, s | weights, s | sgemm, s | inverse / sgemm | "
    )
    text += "np.linalg.inv, s | fit peak / 4n² | peak / estimate | load before |\n"
    text += "|---|---|---|---|---|---|---|---|---|---|\n"
    for row in found["rows"]:
        cells = [
            short(row[name]) if name in row else "–" for name in ("gram", "inverse", "weights")
        ]
        scaled = row.get("sgemm_from", row["items"]) < row["items"]
        cells.append(("≈ " if scaled else "") + short(row["sgemm"]) if "sgemm" in row else "–")
        cells.append(f"{row['inverse'] / row['sgemm']:.2f}" if "sgemm" in row else "–")
        cells.append(short(row["numpy_inv"]) if "numpy_inv" in row else "–")
        most = row.get("fit_peak_bytes")
        cells.append("–" if most is None else f"{most / (4 * row['items'] ** 2):.2f}")
        known = most is not None and "estimate_bytes" in row
        cells.append(f"{most / row['estimate_bytes']:.2f}" if known else "–")
        text += f"| {row['items']:,} | {' | '.join(cells)} | {row['load_before']:.1f} |\n"
    return text


def _kernels(results: Results) -> str:
    found = results.get("kernels")
    if found is None:
        return ""
    data = found["data"]
    text = "\n## One kernel at a time\n\n"
    text += f"{data['n_users']:,} users × {data['n_items']:,} items, {found['cores']} cores, "
    text += f"{found['threads']} threads, load before {found['load_before']:.1f}.\n\n"
    text += "| what | seconds |\n|---|---|\n"
    labels = {
        ("gram", "gram_seconds"): "Gram matrix, shoal",
        ("gram", "scipy_seconds"): "Gram matrix, scipy `(X.T @ X).toarray()`",
        ("ranking", "fused_seconds"): "top-100 for all users, scores and selection in one pass",
        ("ranking", "two_steps_seconds"): "the same in two steps, by blocks",
        ("ranking", "sketch_seconds"): "the same by the sketch",
        ("metrics", "ranking_seconds"): "ranking of the held-out users",
        ("metrics", "two_metrics_seconds"): "`evaluate` beyond that, NDCG@100 and Recall@20",
        (
            "metrics",
            "default_metrics_seconds",
        ): "`evaluate` beyond that, six metrics",
        ("reading", "parquet_seconds"): "`shoal.read`, Parquet",
        ("reading", "csv_seconds"): "`shoal.read`, CSV",
        ("threading", "one_seconds"): "fit of EASE, 4,000 items, one thread",
        ("threading", "two_seconds"): "the same, two threads",
        ("threading", "nested_seconds"): "the same inside of a block that limits threads too",
        ("start", "compile_seconds"): "compiling the kernels of a session, empty cache",
        ("start", "load_seconds"): "loading them in a later process",
        ("start", "help_seconds"): "`shoal --help`",
    }
    for (part, name), label in labels.items():
        value = found.get(part, {}).get(name)
        text += f"| {label} | {'–' if value is None else short(value)} |\n"
    change = found.get("metrics", {}).get("bfloat16_ndcg_change")
    if change is not None:
        text += f"\nB rounded to bfloat16 changes NDCG@100 by {change:+.1e}.\n"
    return text


def _real(results: Results) -> str:
    found = results.get("real")
    if found is None:
        return ""
    text = "\n## Real catalogues, in the split of LightGCN\n\n"
    text += (
        f"{found['cores']} cores, {found['threads']} threads; top-20 for all users. The peers are "
    )
    text += "not run here: the one that takes least memory on the small shape takes 2.9 × 4n² "
    text += "bytes, which is 19 GB for 41,000 items.\n\n"
    text += (
        "| | items | interactions | read, s | fit, s | fit peak, GB (estimate) | recommend all, s "
    )
    text += "| evaluate, s | Recall@20 / NDCG@20 | residual |\n" + "|---" * 10 + "|\n"
    for name, row in found["sets"].items():
        stages = [short(row[f"{stage}_seconds"]) for stage in ("read", "fit")]
        sizes = f"{row['fit_peak_bytes'] / 1e9:.2f} ({row['estimate_bytes'] / 1e9:.2f})"
        after = [short(row[f"{stage}_seconds"]) for stage in ("recommend", "evaluate")]
        quality = f"{row['recall_full@20']:.4f} / {row['ndcg@20']:.4f}"
        cells = [f"{row['items']:,}", f"{row['interactions']:,}", *stages, sizes, *after, quality]
        text += f"| {name} | {' | '.join(cells)} | {row['residual']:.1e} |\n"
    return text


class _Goals:
    """The goals beside what was measured."""

    def __init__(self) -> None:
        self.text = "\n## Goals\n\n| goal | measured | |\n|---|---|---|\n"

    def add(
        self, goal: str, value: float | None, limit: float, *, least: bool = False, unit: str = ""
    ) -> None:
        """A value that must be at most (or `least`: at least) the limit."""
        if value is None:
            self.text += f"| {goal} | not measured | |\n"
            return
        met = value >= limit if least else value <= limit
        self.text += f"| {goal} | {short(value)}{unit} | {'met' if met else '**missed**'} |\n"


def _over(a: float | None, b: float | None) -> float | None:
    return None if a is None or not b else a / b


def _goals(results: Results, peers: Sequence[str]) -> str:
    kernels, scale = results.get("kernels") or {}, results.get("scale") or {"rows": []}
    small = {peer: results.get(f"small-{peer}") for peer in peers}
    size = {row["items"]: row for row in scale["rows"]}
    gram, metrics = kernels.get("gram", {}), kernels.get("metrics", {})
    reading, start = kernels.get("reading", {}), kernels.get("start", {})
    goals = _Goals()

    ratio = _over(gram.get("scipy_seconds"), gram.get("gram_seconds"))
    goals.add("Gram matrix ≥ 8 × as fast as scipy's", ratio, 8, least=True, unit=" ×")
    extra = _over(gram.get("gram_extra_bytes"), gram.get("csr_bytes"))
    goals.add("Gram matrix: extra memory ≤ 2 × the CSR", extra, 2, unit=" ×")
    for n, limit in ((10_000, 1.3), (20_000, 1.2)):
        row = size.get(n, {})
        ratio = _over(row.get("inverse"), row.get("sgemm"))
        goals.add(f"inverse ≤ {limit} × n³ flops of sgemm at {n:,} items", ratio, limit, unit=" ×")
    with_numpy = [row for row in scale["rows"] if "numpy_inv" in row]
    largest: Row = max(with_numpy, key=lambda row: row["items"], default={})
    ratio = _over(largest.get("numpy_inv"), largest.get("inverse"))
    at = f" (at {largest['items']:,} items)" if largest else ""
    goals.add(f"inverse ≥ 4 × as fast as np.linalg.inv{at}", ratio, 4, least=True, unit=" ×")
    with_peak = [row for row in scale["rows"] if "fit_peak_bytes" in row]
    shares = [
        row["fit_peak_bytes"] / (1.25 * 4 * row["items"] ** 2 + 3 * row["csr_bytes"])
        for row in with_peak
    ]
    estimates = [
        row["fit_peak_bytes"] / row["estimate_bytes"]
        for row in with_peak
        if "estimate_bytes" in row
    ]
    worst = max(shares, default=None)
    goals.add("peak of the whole fit ≤ 1.25·4n² + 3·CSR, at every size", worst, 1, unit=" of that")
    worst = max(estimates, default=None)
    goals.add("peak of the fit ≤ 1.1 × its estimate, at every size", worst, 1.1, unit=" ×")
    users = (results.get("small-data") or {}).get("n_users", 0)
    mine = seconds(small.get("shoal"), "recommend", users)
    for peer, least in (("sketch", 2), ("irspack", 15)):
        ratio = _over(seconds(small.get(peer), "recommend", users), mine)
        goals.add(
            f"recommend-all ≥ {least} × as fast as {peer}", ratio, least, least=True, unit=" ×"
        )
    held_out = metrics.get("users", 10_000)
    for name, label in (("two", "NDCG@100 and Recall@20"), ("default", "six metrics")):
        value = metrics.get(f"{name}_metrics_seconds")
        goals.add(f"{label} ≤ 0.1 s beyond ranking, {held_out:,} users", value, 0.1, unit=" s")
    threads = kernels.get("threading", {})
    ratio = _over(threads.get("one_seconds"), threads.get("two_seconds"))
    goals.add("a fit with two threads ≥ 1 × as fast as with one", ratio, 1, least=True, unit=" ×")
    ratio = _over(threads.get("nested_seconds"), threads.get("two_seconds"))
    goals.add("a nested call ≤ 1.1 × the time of a plain one", ratio, 1.1, unit=" ×")
    goals.add("kernels compile in ≤ 15 s in all", start.get("compile_seconds"), 15, unit=" s")
    goals.add("later processes load them in ≤ 0.5 s", start.get("load_seconds"), 0.5, unit=" s")
    goals.add("`shoal --help` ≤ 0.5 s", start.get("help_seconds"), 0.5, unit=" s")
    rows = f"{reading.get('rows', 4_500_000):,} rows"
    goals.add(f"{rows} of Parquet read in ≤ 0.5 s", reading.get("parquet_seconds"), 0.5, unit=" s")
    goals.add(f"{rows} of CSV read in ≤ 2 s", reading.get("csv_seconds"), 2, unit=" s")
    others = [small[p] for p in peers if p not in ("shoal", "sketch", "numpy", "implicit")]
    times = [t for row in others if (t := seconds(row, "fit")) is not None]
    peaks = [b for row in others if (b := peak(row)) is not None]
    share = _over(seconds(small.get("shoal"), "fit"), min(times, default=None))
    goals.add("EASE fit ≤ half the best peer's time", share, 0.5, unit=" of it")
    share = _over(peak(small.get("shoal")), min(peaks, default=None))
    goals.add("EASE fit ≤ half the best peer's memory", share, 0.5, unit=" of it")
    return goals.text


def render(results: Results, peers: Sequence[str]) -> str:
    """The whole page."""
    text = HEAD + _goals(results, peers) + "\n## Side by side\n" + ABOUT
    text += "".join(_table(results, shape, peers) for shape in NAMES)
    installed = results.get("install") or {}
    broken = {peer: row["failed"] for peer, row in installed.items() if not row["works"]}
    if broken:
        text += "\nCould not be installed:\n\n"
        text += "".join(f"* {peer}: {why}\n" for peer, why in broken.items())
    return text + _scale(results) + _real(results) + _kernels(results)


def readme_block(results: Results, peers: Sequence[str]) -> str:
    """The ratios that the README shows."""
    rows = {peer: results.get(f"small-{peer}") for peer in peers}
    mine, data = rows.get("shoal"), results.get("small-data")
    if mine is None or data is None:
        return ""
    users = data["n_users"]
    text = f"EASE on {users:,} users × {data['n_items']:,} items, {data['interactions']:,} "
    text += (
        f"interactions, {mine['cores']} cores (`python benchmarks/linear/run.py run`; in brackets: "
    )
    text += "times shoal's; ≈ extrapolated from fewer users):\n\n"
    text += "| | fit, s | fit peak, GiB | top-100 for all users, s | evaluate 10,000, s |\n"
    text += "|---|---|---|---|---|\n"
    for peer, row in rows.items():
        if row is None or peer in ("sketch", "implicit"):
            continue
        stages = (_cell(row, mine, "recommend", users), _cell(row, mine, "evaluate", 10_000))
        cells = [_cell(row, mine, "fit"), _peak_cell(row, mine), *stages]
        text += f"| {peer} | {' | '.join(cells)} |\n"
    return text
