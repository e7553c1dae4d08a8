"""Random filters and boosts: what they give, against an evaluation row by row in plain Python.

    python -m benchmarks.serving.expressions [CASES]

Four kinds of texts, in equal shares: expressions that are written from random trees (their masks
and factors are compared with the trees', evaluated here by other code), expressions with some
characters changed, random words and signs of the language, and random characters. Each of the last
three is answered or refused by an error that names the option; anything else is a crash. Then come
texts that are made to take long.
"""

from __future__ import annotations

import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.harness.results import Results, Row
from shoal.data.ids import Ids
from shoal.data.where import rows_where
from shoal.errors import HistoryError
from shoal.inference.filters import item_factors, item_mask
from shoal.models.popularity import Popularity

RESULTS = Results(Path(__file__).parent / "expressions.jsonl")

# entries by column; each tree below is evaluated for each row of them
ENTRIES: dict[str, list[Any]] = {
    "item": [f"i{n}" for n in range(12)],
    "year": [1990, 1985, 2001, None, 2010, 0, -3, 1990, 7, None, 2024, 1],
    "price": [5.0, 25.5, 10.0, 0.0, None, -1.5, 1e300, 1e-300, 3.0, 20.0, None, 0.5],
    "units": [0, 3, None, 7, -1, 2, 0, 5, 1, 1, None, 9],
    "n text": ["3", " 4.5", "x", None, "-2", "0", "", "1e3", "7", "8", "9", "10"],
    "in_stock": [True, False, True, None, True, False, None, True, False, True, True, False],
    "title": ["Up", " Io", "It", None, "Z", "M", "Up", "", "o'er", "It", "Up", "Z"],
    "genres": ["A|B", "B", "C", None, "B, C", "A;C", "", "D", "A", "B|C|D", None, "A | D"],
    "tags": [["x"], ["y", "x"], [], None, ["z"], ["x"], [], ["y"], None, ["z", "y"], ["A"], []],
}
ROWS = [dict(zip(ENTRIES, row, strict=True)) for row in zip(*ENTRIES.values(), strict=True)]
NUMBERS, TEXTS = ("year", "price", "units"), ("title", "item")
WORDS = [
    *("and", "or", "not", "in", "is", "null", "has", "true", "false", "min", "max", "if", "log"),
    *("(", ")", ",", "+", "-", "*", "/", "=", "<", ">=", "!=", "'A'", '"year"', "`n text`", "1"),
    *("year", "price", "in_stock", "genres", "tags", "nothing", "0", "1e400", "2.5", "'", "abs("),
]
Tree = tuple[Any, ...]


def model() -> Popularity:
    """A model whose item table holds the entries."""
    table, n = pl.DataFrame(ENTRIES), len(ROWS)
    popularity = Popularity()
    popularity.restore({"counts": np.ones(n, np.float32)})
    popularity.restore_catalogue(Ids(table["item"], "str"), table, "", {})
    return popularity


# -- random trees ------------------------------------------------------------------------------


def number_tree(rng: random.Random, depth: int) -> Tree:
    """A random number."""
    kind = rng.random()
    if depth == 0 or kind < 0.25:
        if rng.random() < 0.35:
            return "number", rng.choice([0, 1, 2, 3, 10, 1990, 0.5, 2.25, 1e-3, 1e300])
        return "column", rng.choice([*NUMBERS, *NUMBERS, "n text", "in_stock"])
    if kind < 0.65:
        return rng.choice("+-*/"), number_tree(rng, depth - 1), number_tree(rng, depth - 1)
    if kind < 0.72:
        return "negative", number_tree(rng, depth - 1)
    if kind < 0.8:
        condition = condition_tree(rng, depth - 1)
        if condition[0] == "true":  # in parentheses it is still a column
            return "column", condition[1]
        return "counted", condition
    if kind < 0.9:
        parts = [number_tree(rng, depth - 1) for _ in range(rng.randint(2, 3))]
        return rng.choice(["min", "max"]), *parts
    if kind < 0.95:
        return rng.choice(["abs", "log"]), number_tree(rng, depth - 1)
    parts = [number_tree(rng, depth - 1) for _ in range(2)]
    return "if", condition_tree(rng, depth - 1), *parts


def condition_tree(rng: random.Random, depth: int) -> Tree:
    """A random condition."""
    kind = rng.random()
    if depth > 0 and kind < 0.3:
        parts = [condition_tree(rng, depth - 1) for _ in range(rng.randint(2, 3))]
        return rng.choice(["and", "or"]), *parts
    if depth > 0 and kind < 0.4:
        return "not", condition_tree(rng, depth - 1)
    if depth > 0 and kind < 0.6:
        left = number_tree(rng, depth - 1)
        while left[0] in ("number", "column") or not has_column(left):
            left = "+", ("column", rng.choice(NUMBERS)), left
        return "compare", rng.choice(list(COMPARISONS)), left, number_tree(rng, depth - 1)
    if kind < 0.7:
        value = "number", rng.choice([0, 1, 1990, 2001, -3, 2.5])
        return "compare", rng.choice(list(COMPARISONS)), ("column", rng.choice(NUMBERS)), value
    if kind < 0.75:
        pair = rng.choice(NUMBERS), rng.choice(NUMBERS)
        return "compare", rng.choice(list(COMPARISONS)), *(("column", name) for name in pair)
    if kind < 0.8:
        text = "text", rng.choice(["Up", "It", "o'er", "i3", "zz"])
        return "compare", rng.choice(["=", "!=", "<"]), ("column", rng.choice(TEXTS)), text
    if kind < 0.85:
        return "among", rng.choice(NUMBERS), tuple(rng.sample([0, 1, 7, 1990, 2010, -3, 2.5], 3))
    if kind < 0.88:
        return "among", "title", tuple(rng.sample(["Up", "Z", "o'er", "q"], 2))
    if kind < 0.95:
        return "label", rng.choice("ABCDxyz"), rng.choice(["genres", "tags"])
    if kind < 0.98:
        return "null", rng.choice(["year", "price", "title", "tags"])
    return "true", "in_stock"


def has_column(tree: Tree) -> bool:
    """Whether a tree reads any column."""
    named = tree[0] in ("column", "among", "label", "null", "true")
    return named or any(isinstance(part, tuple) and has_column(part) for part in tree[1:])


# -- what a tree gives for a row -----------------------------------------------------------------

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def number_of(tree: Tree, row: Row) -> float | None:
    """The number that a tree gives, None for an empty one."""
    match tree:
        case "number", value:
            return float(value)
        case "column", name:
            try:
                return None if row[name] is None else finite(float(row[name]))
            except ValueError:
                return None
        case "counted", condition:
            return float(fulfils(condition, row) is True)
        case "if", condition, then, otherwise:
            return number_of(then if fulfils(condition, row) is True else otherwise, row)
    parts = [number_of(part, row) for part in tree[1:]]
    if tree[0] in ("min", "max"):
        there = [part for part in parts if part is not None]
        return None if not there else min(there) if tree[0] == "min" else max(there)
    if None in parts:
        return None
    try:
        return finite(_CALCULATIONS[tree[0]](*parts))
    except (ZeroDivisionError, OverflowError, ValueError):
        return None


_CALCULATIONS: dict[str, Callable[..., float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "negative": lambda a: -a,
    "abs": abs,
    "log": math.log,
}


def finite(value: float) -> float | None:
    """A number, None if it is infinite or NaN."""
    return value if math.isfinite(value) else None


def fulfils(tree: Tree, row: Row) -> bool | None:
    """Whether a row fulfils a condition; None where that is not known."""
    match tree:
        case "not", condition:
            known = fulfils(condition, row)
            return None if known is None else not known
        case "compare", sign, ("column", name), ("text", text):
            return None if row[name] is None else COMPARISONS[sign](row[name].strip(), text)
        case "compare", sign, left, right:
            pair = number_of(left, row), number_of(right, row)
            return None if None in pair else COMPARISONS[sign](*pair)
        case "among", name, constants:
            entry = row[name].strip() if isinstance(row[name], str) else row[name]
            return None if entry is None else entry in constants
        case "label", text, name:
            if row[name] is None:
                return None
            joined = row[name].replace(",", "|").replace(";", "|") if name == "genres" else ""
            parts = [part.strip() for part in joined.split("|")] if joined else row[name]
            return text in list(parts)
        case "null", name:
            return row[name] is None or (isinstance(row[name], str) and not row[name].strip())
        case "true", name:
            return row[name]
    parts = [fulfils(part, row) for part in tree[1:]]
    decisive = tree[0] == "or"  # one that holds decides; of `and`, one that does not
    return decisive if decisive in parts else None if None in parts else not decisive


# -- a tree as a text ----------------------------------------------------------------------------

_LEVELS = {"or": 1, "and": 2, "not": 3, "+": 5, "-": 5, "*": 6, "/": 6, "negative": 7}
_LEVELS |= dict.fromkeys(("compare", "among", "label", "null"), 4)


def written(tree: Tree, rng: random.Random, level: int = 0) -> str:
    """An expression that means a tree, with no more parentheses than it needs, or with some."""
    text = _plain(tree, rng)
    needs = _LEVELS.get(tree[0], 8) < level or (tree[0] == "number" and tree[1] < 0 and level > 5)
    return f"({text})" if needs or rng.random() < 0.1 else text


def _plain(tree: Tree, rng: random.Random) -> str:
    space = rng.choice(["", " ", "  "])
    match tree:
        case "number", value:
            return repr(value)
        case "column" | "true", name:
            return f"`{name}`" if " " in name or rng.random() < 0.1 else name
        case "counted", condition:
            return f"({written(condition, rng)})"
        case "compare", sign, left, ("text", text):
            return f"{written(left, rng, 5)}{space}{sign}{space}{quoted(text)}"
        case "compare", sign, left, right:
            return f"{written(left, rng, 5)}{space}{sign}{space}{written(right, rng, 5)}"
        case "among", name, constants:
            return f"{name} IN ({', '.join(map(quoted, constants))})"
        case "label", text, name:
            return rng.choice([f"{quoted(text)} in {name}", f"{name} has {quoted(text)}"])
        case "null", name:
            return f'"{name}" is null'
        case "not", condition:
            return f"not {written(condition, rng, 3)}"
        case "and" | "or", *parts:
            joined = f" {rng.choice([tree[0], tree[0].upper()])} "
            return joined.join(written(part, rng, _LEVELS[tree[0]] + 1) for part in parts)
        case "negative", part:
            return f"-{space}{written(part, rng, 8)}"
        case "+" | "-" | "*" | "/", left, right:
            own = _LEVELS[tree[0]]
            return f"{written(left, rng, own)}{space}{tree[0]}{space}{written(right, rng, own + 1)}"
    return f"{tree[0]}({space}{(',' + space).join(written(part, rng) for part in tree[1:])})"


def quoted(value: Any) -> str:
    """A constant as it is written."""
    if not isinstance(value, str):
        return repr(value)
    return "'" + value.replace("'", "''") + "'"


# -- cases ---------------------------------------------------------------------------------------


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


def main(cases: int) -> None:
    """Run what is not in the results yet, and print the counts."""
    for kind in KINDS:
        row = RESULTS.once(f"{kind}-{cases // len(KINDS)}", lambda k=kind: fuzz(k, cases // 4), str)
        print(kind, row)
    for n_items in (20_000, 1_000_000):
        row = RESULTS.once(f"bombs-{n_items}", lambda n=n_items: bombs(n), lambda _: "measured")
        slowest = max(row, key=lambda name: row[name]["seconds"])
        print(f"bombs over {n_items:,} items; the slowest is {slowest!r}: {row[slowest]}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40_000)
