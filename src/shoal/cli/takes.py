"""Groups of options: a dataclass whose fields are options of several commands.

A command takes a group as one argument: `@takes(LogOptions, RunOptions)` puts the fields of these
dataclasses on its command line and hands it the filled objects. A group that has a method `begin`
is given all values of the command before the command is.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, get_type_hints


def takes(
    *groups: type, hide: Iterable[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Expand parameters annotated with these dataclasses into their fields.

    Parameters
    ----------
    *groups : dataclasses
    hide : iterable of str
        Fields that this command has no use for: they are no options of it, and have their defaults.
    """
    hidden = frozenset(hide)

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(command, include_extras=True)
        plain: list[inspect.Parameter] = []
        grouped: dict[str, type] = {}
        for parameter in inspect.signature(command).parameters.values():
            hint = hints[parameter.name]
            if hint in groups:
                grouped[parameter.name] = hint
            else:
                plain.append(parameter.replace(annotation=hint, kind=parameter.KEYWORD_ONLY))
        for group in grouped.values():
            fields = get_type_hints(group, include_extras=True)
            plain += [
                inspect.Parameter(
                    f.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=f.default,
                    annotation=fields[f.name],
                )
                for f in dataclasses.fields(group)
                if f.name not in hidden
            ]

        @functools.wraps(command)
        def packed(**values: Any) -> Any:
            for name, group in grouped.items():
                names = [f.name for f in dataclasses.fields(group) if f.name not in hidden]
                values[name] = group(**{n: values.pop(n) for n in names})
            for name in grouped:
                begin = getattr(values[name], "begin", None)
                if begin is not None:
                    begin(values)
            return command(**values)

        del packed.__wrapped__
        packed.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]
        packed.__annotations__ = {p.name: p.annotation for p in plain}
        return packed

    return decorate
