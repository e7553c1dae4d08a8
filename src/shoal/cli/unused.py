"""Options that would do nothing are refused: what a person types is used, or they are told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from shoal.cli.faults import to_stderr
from shoal.errors import DataError

_OF_TRAINING = ("precision", "checkpoint", "training_log")


def changed(options: Any, names: Iterable[str] | None = None) -> list[str]:
    """The options of a group that have another value than their default, as a person types them.

    Parameters
    ----------
    options : dataclass
        Such as `SplitOptions`.
    names : iterable of str, optional
        Fields to look at; all, if not given.
    """
    hints = get_type_hints(type(options), include_extras=True)
    given = []
    for field in dataclasses.fields(options):
        if names is not None and field.name not in names:
            continue
        if getattr(options, field.name) != field.default:
            words = getattr(hints[field.name].__metadata__[0], "param_decls", None) or ()
            given.append(next(iter(words), "--" + field.name.replace("_", "-")))
    return given


def refuse(options: Sequence[str], why: str) -> None:
    """Refuse options that do nothing.

    Raises
    ------
    DataError
        There is such an option; the message names it and says why it does nothing.
    """
    if options:
        raise DataError(_nothing(options, why))


def mention(options: Sequence[str], why: str) -> None:
    """Say on stderr that options do nothing, where scripts give the same ones to all commands."""
    if options:
        to_stderr(f"note: {_nothing(options, why)}")


def _nothing(options: Sequence[str], why: str) -> str:
    return f"{', '.join(options)} {'does' if len(options) == 1 else 'do'} nothing {why}"


def refuse_without_log(reading: Any, log: Path | None) -> None:
    """Refuse options of reading where no log is read."""
    if log is None:
        refuse(changed(reading), "without a log (--log FILE): leave it out, or name the log")


def refuse_training_options(names: Sequence[str], running: Any) -> None:
    """Refuse options of training where no model is trained in epochs.

    Parameters
    ----------
    names : sequence of str
        The models.
    running : RunOptions
        Of `shoal.cli.running`.
    """
    from shoal.models.registry import by_name

    if any(_trains(by_name(name)) for name in names):
        return
    refuse(
        changed(running, _OF_TRAINING), f"here, as {_not(names)} trained in epochs: leave it out"
    )


def name_unread_vectors(names: Sequence[str], reading: Any) -> None:
    """Say on stderr that no model reads the item vectors, which bring no items either.

    That is no error: a model that does not read them may be what others are compared with.
    """
    from shoal.models.registry import by_name

    if reading.vectors is None or reading.cold_items:
        return
    if not any(by_name(name).reads_vectors or _holds_others(by_name(name)) for name in names):
        to_stderr(
            f"note: --vectors {reading.vectors} is not used, as {_not(names)} made from vectors of "
            "items"
        )


def _trains(kind: Any) -> bool:
    return bool(kind.trained) or _holds_others(kind)


def _holds_others(kind: Any) -> bool:
    """Whether a model is made of others, which may do what it does not."""
    from shoal.base.composed import Composed

    return issubclass(kind, Composed)


def _not(names: Sequence[str]) -> str:
    return f"{names[0]} is not" if len(names) == 1 else f"none of {', '.join(names)} is"
