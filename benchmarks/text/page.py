"""The page of text/run.py, from its results."""

from __future__ import annotations

from statistics import mean, stdev

from benchmarks.harness.results import Results, Row

Found = dict[tuple[str, str, str], dict[str, dict[int, list[Row]]]]

HEAD = """# What texts add

Written by `benchmarks/text/run.py`; no figure here is typed by hand.

    SHOAL_DATA=… python benchmarks/text/run.py run
    python benchmarks/text/run.py speed

*strong*: whole users are held out, 80 % of their items are history, the rest is to be found.
*cold-items*: a tenth of the items with a vector is held out as a whole, as much for validation; the
users' other items are history, and the held-out items are ranked alone (in the last columns: among
all items). Settings are those that validate best on the split of seed 0 (below); rows are means
over seeds of the split, ± is the standard error over users of the first one. Vectors: *tfidf* is
TF-IDF and truncated SVD to 256 numbers, *minilm* is all-MiniLM-L6-v2 (`shoal[minilm]`). Models
without text see cold items as empty columns: they order them by id. *l3ae+log* is `cold=log`,
*l3ae+rd* has the diagonal and the dropout of RDLAE.
"""


def load(results: Results) -> Found:
    """Results by (set, embedder, protocol), model and number of the setting."""
    found: Found = {}
    for name in results.names():
        row = results.get(name)
        if row is None or name.startswith("speed-"):
            continue
        at = int(name.rsplit("-", 2)[1])
        where = row["set"], row["embedder"], row["protocol"]
        found.setdefault(where, {}).setdefault(row["model"], {}).setdefault(at, []).append(row)
    return found


def best(settings: dict[int, list[Row]]) -> int:
    """Number of the setting that validates best on the split of seed 0."""
    return max(settings, key=lambda at: (_first(settings[at])["validation"], -at))


def _first(rows: list[Row]) -> Row:
    return min(rows, key=lambda row: row["seed"])


def _cell(rows: list[Row], part: str, metric: str) -> str:
    values = [row[part][metric]["mean"] for row in rows if row[part][metric]["mean"] is not None]
    if not values:
        return "–"
    se = _first(rows)[part][metric]["se"]
    return f"{mean(values):.4f}" + ("" if se is None else f" ±{se:.4f}")


def _title(metric: str) -> str:
    return metric.replace("ndcg", "NDCG").replace("recall", "Recall").replace(":", ", ")


def _table(models: dict[str, dict[int, list[Row]]], metrics: tuple[str, ...]) -> str:
    chosen = {model: settings[best(settings)] for model, settings in models.items()}
    some = _first(next(iter(chosen.values())))
    cold = "among_all" in some
    columns = [_title(m) for m in metrics] + [f"{_title(m)}, all" for m in metrics[:2] if cold]
    text = f"| model | {' | '.join(columns)} | seeds | fit, s | CPU, s |\n"
    text += "|---" * (len(columns) + 4) + "|\n"
    for model, rows in sorted(
        chosen.items(), key=lambda c: -mean(r["metrics"][metrics[0]]["mean"] for r in c[1])
    ):
        cells = [_cell(rows, "metrics", m) for m in metrics]
        cells += [_cell(rows, "among_all", m) for m in metrics[:2] if cold]
        values = [row["metrics"][metrics[0]]["mean"] for row in rows]
        spread = f"{stdev(values):.4f} of {len(values)}" if len(values) > 1 else "1"
        cost = f"{_first(rows)['fit_seconds']:.1f} | {_first(rows)['cpu_seconds']:.1f}"
        text += f"| {model} | {' | '.join(cells)} | {spread} | {cost} |\n"
    return text


def _settings(models: dict[str, dict[int, list[Row]]], metric: str) -> str:
    text = f"\n| model | settings | validation {_title(metric)} | chosen |\n|---|---|---|---|\n"
    for model, settings in models.items():
        for at, rows in sorted(settings.items()):
            first = _first(rows)
            given = ", ".join(f"{k} {v:g}" for k, v in first["given"].items() if k != "cold")
            mark = "✓" if at == best(settings) else ""
            text += f"| {model} | {given} | {first['validation']:.4f} | {mark} |\n"
    return text


def _speed(results: Results) -> str:
    text = ""
    for each in results.matching("speed-*"):
        rows = each["rows"]
        ease = rows[0]
        squares = 4 * ease["items"] ** 2
        text += f"\n## Cost: {ease['items']:,} items, vectors of {rows[1]['numbers']:,} numbers\n\n"
        text += f"{ease['cores']} cores, {ease['interactions']:,} interactions, each model in a "
        text += "process of its own, the better of two fits.\n\n"
        text += "| model | fit, s | / EASE | CPU, s | / EASE | peak, GB | / 4n² | peak / estimate "
        text += "| load before |\n"
        text += "|---|---|---|---|---|---|---|---|---|\n"
        for row in rows:
            cells = [f"{row['seconds']:.1f}", f"{row['seconds'] / ease['seconds']:.2f}"]
            cells += [f"{row['cpu_seconds']:.1f}"]
            cells += [f"{row['cpu_seconds'] / ease['cpu_seconds']:.2f}"]
            peak = row["peak_bytes"]
            cells += [f"{peak / 1e9:.2f}", f"{peak / squares:.2f}"]
            cells += [f"{peak / row['estimate_bytes']:.2f}", f"{row['load_before']:.1f}"]
            text += f"| {row['model']} | {' | '.join(cells)} |\n"
    return text


def _gains(found: Found) -> str:
    """What texts add, in a line for each set and embedder."""

    def value(where: tuple[str, str, str], model: str, metric: str) -> float:
        settings = found[where][model]
        return mean(row["metrics"][metric]["mean"] for row in settings[best(settings)])

    text = "\n## In short\n\n| set, vectors | EASE, NDCG@100 | L3AE | gain | head | tail | RDLAE | "
    text += "L3AE + RDLAE | cold, NDCG@20: L3AE | text similarity | popularity |\n"
    text += "|---" * 11 + "|\n"
    for name, embedder in dict.fromkeys(where[:2] for where in found):
        strong, cold = ((name, embedder, protocol) for protocol in ("strong", "cold-items"))
        wanted = {"ease", "rdlae", "l3ae", "l3ae+rd"}
        if not (wanted <= found.get(strong, {}).keys() and "l3ae" in found.get(cold, {})):
            continue
        ease, l3ae = (
            [value(strong, model, f"ndcg@100{part}") for part in ("", ":head", ":tail")]
            for model in ("ease", "l3ae")
        )
        cells = [f"{ease[0]:.4f}", f"{l3ae[0]:.4f}"]
        cells += [f"{b / a - 1:+.1%}" for a, b in zip(ease, l3ae, strict=True)]
        cells += [f"{value(strong, m, 'ndcg@100'):.4f}" for m in ("rdlae", "l3ae+rd")]
        cold_models = ("l3ae", "text-similarity", "popularity")
        cells += [f"{value(cold, m, 'ndcg@20'):.4f}" for m in cold_models]
        text += f"| {name}, {embedder} | {' | '.join(cells)} |\n"
    return text


def render(
    results: Results,
    grid: dict[str, list[Row]],
    metrics: dict[str, tuple[str, ...]],
    where_only: dict[str, tuple[str, ...]],
) -> str:
    """The page; `where_only` names the protocols of rows that are not in all."""
    found = load(results)
    page = HEAD + _gains(found)
    details = ""
    for where, models in found.items():
        name, embedder, protocol = where
        first = _first(next(iter(next(iter(models.values())).values())))
        title = f"{name}, {embedder}, {protocol}"
        page += f"\n## {title}\n\n{first['users']:,} test users"
        if "candidates" in first:
            page += f", {first['candidates']:,} cold items"
        train = first["train"]
        page += f"; training: {train['users']:,} users × {train['items']:,} items, "
        page += f"{train['interactions']:,} interactions.\n\n"
        page += _table(models, metrics[protocol])
        wanted = {m: s for m, s in grid.items() if protocol in where_only.get(m, (protocol,))}
        left = [m for m, settings in wanted.items() if len(models.get(m, {})) < len(settings)]
        if left:
            page += f"\nNot all settings were run: {', '.join(left)}.\n"
        details += f"\n### {title}\n" + _settings(models, metrics[protocol][0])
    page += _speed(results)
    if details:
        page += "\n## Settings that were tried\n" + details
    return page if found or _speed(results) else page + "\nNot yet run.\n"
