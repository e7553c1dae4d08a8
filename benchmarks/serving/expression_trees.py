"""Random expressions as trees: what they give for a row in plain Python, and how to write them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from benchmarks.harness.results import Row

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
Tree = tuple[Any, ...]


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
