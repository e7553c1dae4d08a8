"""Models by name: every file in this package, and what other packages register.

A new model is found by being there. Another package adds its own with an entry point in the group
``shoal.models``.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import shoal.models
from shoal.base.recommender import Recommender
from shoal.errors import ModelError


@cache
def models() -> dict[str, type[Recommender]]:
    """All model classes by their command-line name, in alphabetical order."""
    found: dict[str, type[Recommender]] = {}
    for module in pkgutil.iter_modules(shoal.models.__path__):
        for _, member in inspect.getmembers(
            importlib.import_module(f"shoal.models.{module.name}"), inspect.isclass
        ):
            if issubclass(member, Recommender) and member.__dict__.get("name"):
                found[member.name] = member
    for point in entry_points(group="shoal.models"):
        member = point.load()
        found[member.name] = member
    return dict(sorted(found.items()))


def by_name(name: str) -> type[Recommender]:
    """The class of a model.

    Raises
    ------
    ModelError
        No model has this name; close ones are proposed.
    """
    known = models()
    plain = name.strip().lower().replace("_", "-")
    for candidate in (plain, plain.replace("-", "")):
        for key, model in known.items():
            if candidate in (key, key.replace("-", "")):
                return model
    close = difflib.get_close_matches(plain, known, n=2)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise ModelError(f"no model is called {name!r}; there are: {', '.join(known)}.{hint}")


def create(name: str, settings: dict[str, Any] | None = None) -> Recommender:
    """Make an unfitted model from its name and hyper-parameters (values may be text)."""
    return by_name(name)(**(settings or {}))
