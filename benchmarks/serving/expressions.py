"""Random filters and boosts: what they give, against an evaluation row by row in plain Python.

    python -m benchmarks.serving.expressions [CASES]

Four kinds of texts, in equal shares: expressions that are written from random trees (their masks
and factors are compared with the trees', evaluated here by other code), expressions with some
characters changed, random words and signs of the language, and random characters. Each of the last
three is answered or refused by an error that names the option; anything else is a crash. Then come
texts that are made to take long.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.results import Results, Row
from benchmarks.serving.expression_trees import (
    ENTRIES,
    ROWS,
    condition_tree,
    fulfils,
    number_of,
    number_tree,
    written,
)
from shoal.data.ids import Ids
from shoal.data.where import rows_where
from shoal.errors import HistoryError
from shoal.inference.filters import item_factors, item_mask
from shoal.models.popularity import Popularity

RESULTS = Results(Path(__file__).parent / "expressions.jsonl")

WORDS = [
    *("and", "or", "not", "in", "is", "null", "has", "true", "false", "min", "max", "if", "log"),
    *("(", ")", ",", "+", "-", "*", "/", "=", "<", ">=", "!=", "'A'", '"year"', "`n text`", "1"),
    *("year", "price", "in_stock", "genres", "tags", "nothing", "0", "1e400", "2.5", "'", "abs("),
]
CATALOGUES = 20_000, 1_000_000  # items over which costly texts are evaluated


def model() -> Popularity:
    """A model whose item table holds the entries."""
    table, n = pl.DataFrame(ENTRIES), len(ROWS)
    popularity = Popularity()
    popularity.restore({"counts": np.ones(n, np.float32)})
    popularity.restore_catalogue(Ids(table["item"], "str"), table, "", {})
    return popularity


def judged(popularity: Popularity, rng: random.Random) -> str:
    """Compare a random filter and a random boost with their trees."""
    condition, number = condition_tree(rng, 3), number_tree(rng, 3)
    if rng.random() < 0.8:  # within the bounds of factors
        number = "max", ("number", 0.001), ("min", number, ("number", 1000))
    text = written(condition, rng)
    wanted = [fulfils(condition, row) is True for row in ROWS]
    as_rows = rows_where(popularity.item_table, text).to_list()  # as a log is read
    if item_mask(popularity, text).tolist() != wanted or as_rows != wanted:
        return f"wrong: {text}"
    text = written(number, rng)
    values = [number_of(number, row) for row in ROWS]
    factors = np.array([1.0 if value is None else value for value in values])
    try:
        given = item_factors(popularity, text)
    except HistoryError as error:
        outside = not ((factors >= 1e-6) & (factors <= 1e6)).all()
        return "refused" if outside and "is not from 1e-06" in str(error) else f"wrong: {text}"
    return "answered" if np.allclose(given, factors, rtol=1e-6, atol=0) else f"wrong: {text}"


def answered(popularity: Popularity, text: str) -> str:
    """Whether a text is answered or refused, as a filter and as a boost."""
    for option, evaluate in (("filter", item_mask), ("boost", item_factors)):
        try:
            evaluate(popularity, text)
        except HistoryError as error:
            if not str(error).startswith(option):
                return f"wrong: {text!r}: {error}"
            continue
        return "answered"
    return "refused"


def changed(rng: random.Random) -> str:
    """An expression with some characters removed, doubled or replaced."""
    letters = list(written(condition_tree(rng, 3), rng))
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(letters))
        letters[place] = rng.choice(["", letters[place] * 2, rng.choice("()'\"`<>=+-*/,.e0 ☃\n")])
    return "".join(letters)


KINDS: dict[str, Callable[[Popularity, random.Random], str]] = {
    "compared": judged,
    "changed": lambda m, rng: answered(m, changed(rng)),
    "words": lambda m, rng: answered(m, " ".join(rng.choices(WORDS, k=rng.randint(1, 14)))),
    "characters": lambda m, rng: answered(
        m, "".join(chr(rng.choice([rng.randrange(128), rng.randrange(0x11000)])) for _ in range(30))
    ),
}


def fuzz(kind: str, cases: int, seed: int = 0) -> Row:
    """Try random expressions of one kind, and count what became of them."""
    popularity, counts, slowest = model(), Counter[str](), 0.0
    faults = []
    for case in range(cases):
        rng, begin = random.Random(f"{seed} {kind} {case}"), time.perf_counter()  # noqa: S311
        try:
            outcome = KINDS[kind](popularity, rng)
        except Exception as error:  # whatever it is, it is a crash
            outcome = f"crash: case {case}: {type(error).__name__}: {error}"
        slowest = max(slowest, time.perf_counter() - begin)
        counts[outcome.partition(":")[0]] += 1
        faults += [outcome] * (":" in outcome)
    outcomes = {name: counts[name] for name in ("answered", "refused", "wrong", "crash")}
    return {"cases": cases, **outcomes, "slowest_seconds": round(slowest, 4), "faults": faults[:5]}


BOMBS = {
    "parentheses": "(" * 900 + "year = 1" + ")" * 900,
    "nested in bounds": "(" * 45 + "year = 1" + ")" * 45,
    "negations": "not " * 490 + "year = 1",
    "signs": "year > " + "-" * 1_900 + "1",
    "or-chain": " or ".join(["year = 1"] * 160),
    "long or-chain": " or ".join(["year = 1"] * 2_000),
    "list": f"year in ({', '.join(map(str, range(600)))})",
    "list in bounds": f"year in ({', '.join(map(str, range(150)))})",
    "huge list": f"year in ({', '.join(map(str, range(100_000)))})",
    "digits": "year > " + "9" * 1_900,
    "a billion digits": "year > 1e999999999",
    "power": "year ** 999999999 ** 999999999 > 0",
    "products": "year" + " * 1e300" * 98 + " > 1",
    "many products": "year" + " * 9" * 480 + " > 1",
    "functions": "min(" * 45 + "year, 1" + ", 1)" * 45 + " > 0",
    "many functions": "min(" * 250 + "year, 1" + ", 1)" * 250 + " > 0",
    "quote": "title = '" + "a" * 1_900,
    "quotes": "title = '" + "''" * 950 + "'",
    "labels": " or ".join(["'A' in genres"] * 110),
    "blanks": "year" + " " * 1_900 + "= 1",
    "backslashes": "title = '" + "\\" * 1_900 + "'",
    "code": "__import__('os').system('true') = 1",
    "not a text": ["year = 1"],
}


def bombs(n_items: int) -> Row:
    """The seconds that each expensive text takes over so many items."""
    repeats = -(-n_items // len(ROWS))
    table = pl.concat([pl.DataFrame(ENTRIES)] * repeats).head(n_items)
    table = table.with_columns(item=pl.int_range(n_items).cast(pl.String))
    popularity = Popularity()
    popularity.restore({"counts": np.ones(n_items, np.float32)})
    popularity.restore_catalogue(Ids(table["item"], "str"), table, "", {})
    row: Row = {}
    for name, text in BOMBS.items():
        begin = time.perf_counter()
        outcome = answered(popularity, text)  # type: ignore[arg-type]
        row[name] = {"seconds": round(time.perf_counter() - begin, 4), "outcome": outcome}
    return row


HEAD = """# Random filters and boosts

Written by `benchmarks/serving/expressions.py`; no figure here is typed by hand.

    python -m benchmarks.serving.expressions {cases}

*compared*: expressions written from random trees, whose masks and factors are compared with the
trees', evaluated row by row in plain Python (filters also as conditions on rows, as a log is read).
*changed*: such expressions with characters removed, doubled or replaced. *words* and *characters*:
random ones. *refused* is an error of shoal that names the option; *crash* is anything else.

| kind | cases | answered | refused | wrong | crash | slowest |
|---|---|---|---|---|---|---|
{rows}

Texts that are made to take long ({n_bombs} of them: nested parentheses, long chains, huge lists,
thousands of digits, a hundred products, …), as a filter and, if refused, as a boost:

| items | answered | refused | slowest | seconds |
|---|---|---|---|---|
{bombs}
"""


def page(cases: int) -> str:
    """The page of the results."""
    rows = []
    for kind in KINDS:
        row = RESULTS.get(f"{kind}-{cases // len(KINDS)}") or {}
        counts = [f"{row[name]:,}" for name in ("cases", "answered", "refused", "wrong", "crash")]
        rows.append(f"| {kind} | {' | '.join(counts)} | {1_000 * row['slowest_seconds']:.0f} ms |")
    lines = []
    for n_items in CATALOGUES:
        row = RESULTS.get(f"bombs-{n_items}") or {}
        slowest = max(row, key=lambda name, row=row: row[name]["seconds"])  # type: ignore[misc]
        outcomes = Counter(result["outcome"] for result in row.values())
        counts = [f"{outcomes[name]}" for name in ("answered", "refused")]
        seconds = row[slowest]["seconds"]
        lines.append(f"| {n_items:,} | {' | '.join(counts)} | {slowest} | {seconds:.2f} |")
    tables = {"rows": "\n".join(rows), "bombs": "\n".join(lines)}
    return HEAD.format(cases=cases, n_bombs=len(BOMBS), **tables)


def main(cases: int) -> None:
    """Run what is not in the results yet, print the counts and write the page."""
    for kind in KINDS:
        each = cases // len(KINDS)
        print(kind, RESULTS.once(f"{kind}-{each}", partial(fuzz, kind, each), str))
    for n_items in CATALOGUES:
        RESULTS.once(f"bombs-{n_items}", partial(bombs, n_items), str)
    RESULTS.path.with_suffix(".md").write_text(page(cases))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40_000)
