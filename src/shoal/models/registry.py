"""Models by name: those of this package, and those that other packages register.

Every file in this package is searched for models, so a new file registers its own. Another package
registers a model with an entry point in the group ``shoal.models``.
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
from shoal.base.model_text import models_in
from shoal.base.recommender import Recommender
from shoal.errors import ModelError


@cache
def models() -> dict[str, type[Recommender]]:
    """Return all model classes by their command-line name, in alphabetical order."""
    classes: dict[str, type[Recommender]] = {}
    for module in pkgutil.iter_modules(shoal.models.__path__):
        for _, member in inspect.getmembers(
            importlib.import_module(f"shoal.models.{module.name}"), inspect.isclass
        ):
            if issubclass(member, Recommender) and member.__dict__.get("name"):
                classes[member.name] = member
    for point in entry_points(group="shoal.models"):
        member = point.load()
        classes[member.name] = member
    return dict(sorted(classes.items()))


def by_name(name: str) -> type[Recommender]:
    """Return the model class of a name; case, ``_`` and ``-`` do not matter.

    Raises
    ------
    ModelError
        No model has this name; the message proposes close ones.
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


def named_in(text: str) -> tuple[Recommender, ...]:
    """Make the unfitted models that a text such as ``name(parameter=value)+name`` names.

    Raises
    ------
    ModelError
        The text has another form (`models_in`), or a model or hyper-parameter does not exist.
    """
    return tuple(create(name, settings) for name, settings in models_in(text))
