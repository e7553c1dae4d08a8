"""Models as texts, for a model that is made of others: ``elsa(factors=64;lr=0.1)+ease``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shoal.base.recommender import Recommender
from shoal.errors import ModelError

ModelText = tuple[str, dict[str, str]]  # a name and its settings
DEEPEST = 20  # parentheses within parentheses
_SHOWN = 80  # characters of a text in a message


def models_in(text: str) -> list[ModelText]:
    """The models of a text, as names and settings.

    Parameters
    ----------
    text : str
        Names joined by ``+``; hyper-parameters follow in parentheses, separated by ``;``. A value
        may be such a text itself, as its own parentheses keep it together. Where the first one
        joins names itself, as in ``blend(ease+gf-cf;weights=0.7,0.3)``, it is what the model calls
        ``parts``.

    Raises
    ------
    ModelError
        The text has another form, sets a hyper-parameter twice, or its parentheses are nested too
        deep.
    """
    return [_model_in(part) for part in _split(text, "+")]


def text_of(name: str, settings: Mapping[str, Any]) -> str:
    """The text of a model with these settings."""
    inside = ";".join(f"{key}={value}" for key, value in settings.items())
    return f"{name}({inside})" if inside else name


def written(model: Recommender) -> str:
    """The text of a model: its name and all settings but defaults."""
    defaults = type(model)().model_dump()
    changed = {n: value for n, value in model.model_dump().items() if value != defaults[n]}
    return text_of(model.name, changed)


def single(text: str, option: str) -> ModelText:
    """The one model of a text.

    Raises
    ------
    ModelError
        There are several, or the text has another form. The message names the option.
    """
    try:
        named = models_in(text)
    except ModelError as error:
        raise ModelError(f"{option}: {error}") from None
    if len(named) > 1:
        raise ModelError(f"{option}={_shown(text)} names {len(named)} models: name one")
    return named[0]


def as_texts(
    kind: type[Recommender], values: Mapping[str, Any], options: Sequence[str]
) -> dict[str, Any]:
    """The hyper-parameters of a model made of others, with its parts as texts.

    Parameters
    ----------
    kind : class of the model
    values : mapping
        Hyper-parameters. A part may be a model, and ``ranker.l2=300`` sets one hyper-parameter of
        the part ``ranker``.
    options : sequence of str
        The hyper-parameters that are parts.
    """
    out = dict(values)
    for option in options:
        dotted = {n.partition(".")[2]: out.pop(n) for n in values if n.startswith(f"{option}.")}
        given = out.get(option, kind.model_fields[option].default)
        if isinstance(given, Recommender):
            out[option] = given = written(given)
        if dotted and isinstance(given, str):
            name, settings = single(given, option)
            out[option] = text_of(name, settings | dotted)
    return out


def words_of(cells: Sequence[str]) -> list[str]:
    """Join again what was split at commas within parentheses: ``blend(a+b;weights=1,2)``."""
    words: list[str] = []
    for cell in cells:
        if words and words[-1].count("(") > words[-1].count(")"):
            words[-1] += f",{cell}"
        else:
            words.append(cell)
    return words


def _model_in(part: str) -> ModelText:
    matched = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", part, re.DOTALL)
    settings = [s for s in _split(matched[2] or "", ";") if s.strip()] if matched else []
    if settings and len(_split(settings[0], "=")) == 1 and len(_split(settings[0], "+")) > 1:
        settings[0] = f"parts={settings[0].strip()}"
    pairs = [s.partition("=") for s in settings]
    if not matched or any(not equals for _, equals, _ in pairs):
        raise ModelError(
            f"member {_shown(part)}: write name or name(parameter=value;parameter=value)"
        )
    names = [name.strip() for name, _, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ModelError(f"member {_shown(part)}: {twice[0]} is set more than once")
    return matched[1], {name.strip(): value.strip() for name, _, value in pairs}


def _shown(text: str) -> str:
    """A text in quotes, for a message; a long one is cut."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _split(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that stand in no parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth > DEEPEST:
            raise ModelError(
                f"{_shown(text)}: models are nested more than {DEEPEST} deep, or a ')' is missing"
            )
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
