"""What a leaderboard shows of the versions of a model: quality, costs, data and freshness.

Values are compared only between versions that were measured in the same way: by the same protocol,
on the same number of users, and made from the same data. Everything comes from what the model
folders say of themselves; what an older one does not say is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from shoal.artifact import Version
from shoal.artifact.manifest import ITEMS
from shoal.artifact.training import TRAINING
from shoal.base.catalogue import COUNTS
from shoal.errors import ShoalError
from shoal.models.registry import by_name
from shoal.run import human_bytes
from shoal.service.words import age_of, duration, moment

_Z = 1.959964  # of a 95 % interval, for means over many users
_LOWER_IS_BETTER = ("rmse", "mae", "gini")
_NEITHER = ("popularity", "novelty")  # that tell what a list is like, and not how good it is
_FIRST = ("ndcg", "recall", "rmse", "mae")  # metrics that stand first
MOST_METRICS = 6
_SHOWN_PARAMETERS = 6
_YEAR_1980, _YEAR_2100 = 3.2e8, 4.1e9


@dataclass(frozen=True)
class Cell:
    """The value of one metric.

    Parameters
    ----------
    mean : float
    low, high : float or None
        Ends of the 95 % interval over users; None for metrics that belong to no single user.
    best : bool
        Whether no version that was measured in the same way has a better one.
    """

    mean: float
    low: float | None = None
    high: float | None = None
    best: bool = False

    @property
    def text(self) -> str:
        """The value with four decimals."""
        return f"{self.mean:.4f}"

    @property
    def margin(self) -> str:
        """Half the width of the interval, such as ``± 0.0021``; empty without one."""
        return "" if self.high is None else f"± {self.high - self.mean:.4f}"


@dataclass(frozen=True)
class Data:
    """The data that a version was made from.

    Parameters
    ----------
    items, users, interactions : int or None
    fingerprint : str
        sha256 of ids, pairs and values; empty if it is not known.
    letter : str
        The same for versions that were made from the same data, in the order of the table.
    newest : str
        Date and time of the newest event, where the version tells.
    """

    items: int
    users: int | None = None
    interactions: int | None = None
    fingerprint: str = ""
    letter: str = ""
    newest: str = ""


@dataclass(frozen=True)
class Row:
    """One version.

    Parameters
    ----------
    version : Version
    cells : dict of str to Cell
        By the name of the metric.
    group : str
        Letter of the `Group` in which it is compared; empty without an evaluation.
    data : Data or None
        None of a version that cannot be used.
    settings : str
        The hyper-parameters, shortened.
    size, fitted_in, peak : str
        Size of its files; time and memory of its training, where it tells them.
    age : str
        How long ago it was made, such as ``3 hours ago``.
    beside_live : str
        How it compared with the version that was live when it was made by `shoal refresh`.
    warning : str
        Why its numbers cannot be compared.
    """

    version: Version
    cells: dict[str, Cell] = field(default_factory=dict)
    group: str = ""
    data: Data | None = None
    settings: str = ""
    size: str = ""
    fitted_in: str = ""
    peak: str = ""
    age: str = ""
    beside_live: str = ""
    warning: str = ""


@dataclass(frozen=True)
class Group:
    """Versions that were measured in the same way.

    Parameters
    ----------
    letter : str
    protocol : str
        What was held out.
    users : int or None
        How many users were measured.
    n_versions : int
    """

    letter: str
    protocol: str
    users: int | None
    n_versions: int


@dataclass(frozen=True)
class Leaderboard:
    """All versions of one live model.

    Parameters
    ----------
    rows : list of Row
        The newest first.
    metrics : list of str
        Names of the columns.
    groups : list of Group
    same_data : bool or None
        Whether all versions were made from the same data; None where that is not known.
    """

    rows: list[Row]
    metrics: list[str]
    groups: list[Group]
    same_data: bool | None

    @property
    def compares(self) -> bool:
        """Whether at least two versions were measured in the same way."""
        return any(group.n_versions > 1 for group in self.groups)


def leaderboard(
    versions: Sequence[Version], folders: dict[str, Path], now: datetime | None = None
) -> Leaderboard:
    """Make the leaderboard of some versions.

    Parameters
    ----------
    versions : sequence of Version
        The newest first.
    folders : dict of str to Path
        The model folder of each version, by its name; the item table there tells the number of
        interactions.
    now : datetime, optional
        For ages; the present moment, unless given.
    """
    now = now or datetime.now(UTC)
    rows = [_row(version, folders.get(version.name), now) for version in versions]
    keys = [_measured_how(row) for row in rows]
    letters = _letters(key for key in keys if key is not None)
    fingerprints = [row.data.fingerprint for row in rows if row.data and row.data.fingerprint]
    data_letters = _letters(fingerprints)
    rows = [
        replace(
            row,
            group="" if key is None else letters[key],
            data=row.data and replace(row.data, letter=data_letters.get(row.data.fingerprint, "")),
        )
        for row, key in zip(rows, keys, strict=True)
    ]
    groups = [Group(letter, key[0], key[1], keys.count(key)) for key, letter in letters.items()]
    known = [row.data for row in rows if row.data is not None]
    same = None
    if len(known) > 1 and all(data.fingerprint for data in known):
        same = len({data.fingerprint for data in known}) == 1
    return Leaderboard(_with_best(rows), _columns(rows), groups, same)


def _letters(keys: Iterable[Any]) -> dict[Any, str]:
    """A letter for each key, in the order in which they come: A … Z, then numbers."""
    names: dict[Any, str] = {}
    for key in keys:
        if key not in names:
            n = len(names)
            names[key] = ascii_uppercase[n] if n < len(ascii_uppercase) else str(n + 1)
    return names


def _measured_how(row: Row) -> tuple[str, int | None, str] | None:
    """What two versions must share so that their values may be compared; None without values."""
    metrics = row.version.metrics or {}
    if not row.cells or row.warning:
        return None
    users = metrics.get("users")
    fingerprint = row.data.fingerprint if row.data else ""
    # without a fingerprint nobody knows whether the data are the same
    mark = fingerprint or f"of {row.version.name} alone"
    return str(metrics.get("protocol", "")), users if type(users) is int else None, mark


def _row(version: Version, folder: Path | None, now: datetime) -> Row:
    age = age_of(version.created, now)
    if version.error:
        return Row(version, age=age)
    metrics = version.metrics or {}
    training = _table(metrics, TRAINING)
    refreshed = _table(metrics, "refresh")
    data = Data(
        items=version.n_items,
        users=_count(training, "users") or _count(refreshed, "users"),
        interactions=(
            _count(training, "interactions")
            or _count(refreshed, "interactions")
            or (None if folder is None else _interactions(folder))
        ),
        fingerprint=version.fingerprint,
        newest=_date(training.get("trained_until", refreshed.get("trained_until"))),
    )
    seconds, peak = _positive(training, "seconds"), _positive(training, "peak_bytes")
    warning = ""
    if metrics.get("fitted_on_other_data"):
        warning = "fitted on other data than its evaluation says: its numbers may be too good"
    return Row(
        version,
        cells=_cells(metrics),
        data=data,
        settings=_settings(version.model, version.parameters or {}),
        size=human_bytes(version.bytes),
        fitted_in="" if seconds is None else duration(seconds),
        peak="" if peak is None else human_bytes(peak),
        age=age,
        beside_live=_beside_live(metrics),
        warning=warning,
    )


def _table(metrics: dict[str, Any], name: str) -> dict[str, Any]:
    table = metrics.get(name)
    return table if isinstance(table, dict) else {}


def _count(table: dict[str, Any], name: str) -> int | None:
    value = table.get(name)
    return value if type(value) is int and value >= 0 else None


def _positive(table: dict[str, Any], name: str) -> float | None:
    value = _number(table.get(name))
    return value if value is not None and value > 0 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    with suppress(OverflowError):
        return float(value) if math.isfinite(value) else None
    return None


def _cells(metrics: dict[str, Any]) -> dict[str, Cell]:
    """The values of an evaluation as `Evaluation.to_dict` writes them; others are left out."""
    cells = {}
    for name, score in _table(metrics, "metrics").items():
        if not isinstance(score, dict):
            continue
        mean, se = _number(score.get("mean")), _number(score.get("se"))
        if mean is None:
            continue
        half = None if se is None or se < 0 else _Z * se
        cells[name] = Cell(
            mean, None if half is None else mean - half, None if half is None else mean + half
        )
    return cells


def _columns(rows: Sequence[Row]) -> list[str]:
    """The metrics that most versions have, those of accuracy first."""
    names = [name for row in rows for name in row.cells]
    order = list(dict.fromkeys(names))

    def rank(name: str) -> tuple[int, int, int]:
        base, _, rest = name.partition("@")
        first = _FIRST.index(base) if base in _FIRST and ":" not in rest else len(_FIRST)
        return -names.count(name), first, order.index(name)

    return sorted(order, key=rank)[:MOST_METRICS]


def _with_best(rows: Sequence[Row]) -> list[Row]:
    """The rows with the best value of each metric marked, in each group where values differ."""
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        for name, cell in row.cells.items():
            if row.group and name.partition("@")[0] not in _NEITHER:
                values.setdefault((row.group, name), []).append(cell.mean)
    best = {
        (group, name): (min if name.startswith(_LOWER_IS_BETTER) else max)(means)
        for (group, name), means in values.items()
        if len(set(means)) > 1
    }
    return [
        replace(
            row,
            cells={
                name: replace(cell, best=best.get((row.group, name)) == cell.mean)
                for name, cell in row.cells.items()
            },
        )
        for row in rows
    ]


def _interactions(folder: Path) -> int | None:
    """How many interactions a model was fitted to, by the training users of its items."""
    try:
        return _sum_of_counts(folder / ITEMS, (folder / ITEMS).stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=1024)
def _sum_of_counts(file: Path, _changed: int) -> int | None:
    """The sum over a table of items; one that `save` has replaced is read anew."""
    import polars as pl

    try:
        table = pl.scan_parquet(file)
        if COUNTS not in table.collect_schema():
            return None
        total = table.select(pl.col(COUNTS).sum()).collect().item()
    except pl.exceptions.PolarsError:
        return None
    return total if type(total) is int else None


def _settings(model: str, parameters: dict[str, Any]) -> str:
    """The hyper-parameters that are not those by default, as text."""
    usual: dict[str, Any] = {}
    with suppress(ShoalError):  # a model of a package that is not installed here
        fields = by_name(model).model_fields
        usual = {name: field.default for name, field in fields.items()}
    parts = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in parameters.items()
        if value is not None and (name not in usual or value != usual[name])
    ]
    if parameters and not parts:
        return "settings by default"
    more = len(parts) - _SHOWN_PARAMETERS
    return ", ".join(parts[:_SHOWN_PARAMETERS]) + (f" and {more} more" if more > 0 else "")


def _beside_live(metrics: dict[str, Any]) -> str:
    """The comparison that a refresh made before it published a version."""
    compared = _table(metrics, "compared_with")
    difference, se = _number(compared.get("difference")), _number(compared.get("se"))
    if difference is None:
        return ""
    margin = "" if se is None else f" ± {_Z * se:.4f}"
    what = str(compared.get("what") or "the version before")
    return f"{difference:+.4f}{margin} beside {what}"


def _date(seconds: Any) -> str:
    value = _number(seconds)
    if value is None or not _YEAR_1980 < value < _YEAR_2100:  # no dates: numbers of another kind
        return ""
    return moment(value)
