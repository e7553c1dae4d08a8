"""What takes part in a comparison: a model, its settings, and what may be searched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shoal.base.model_text import single
from shoal.base.ranges import Space, declared
from shoal.base.recommender import Recommender
from shoal.errors import DataError
from shoal.models.registry import by_name


@dataclass(frozen=True)
class Entrant:
    """One model of a comparison.

    Parameters
    ----------
    label : str
        What the tables call it; different for each entrant of a comparison.
    kind : class of a model
    settings : mapping
        Hyper-parameters that are given; the others have their defaults or are searched.
    space : mapping name → Range or Choices, optional
        What is searched; None for all ranges that the model declares.
    tune : bool
        Whether it is tuned where a comparison tunes.
    model : Recommender, optional
        An unfitted model that was handed in as an object. The first seed fits this object itself.
    """

    label: str
    kind: type[Recommender]
    settings: Mapping[str, Any] = field(default_factory=dict)
    space: Space | None = None
    tune: bool = True
    model: Recommender | None = None

    def unfitted(self) -> Recommender:
        """Make the model, unfitted.

        Raises
        ------
        ModelError
            A hyper-parameter does not exist, or its value is not valid.
        """
        return self.kind(**self.settings)

    @property
    def ranges(self) -> Space:
        """What is searched where it is tuned: its space, or the ranges that no setting fixes."""
        if self.space is not None:
            return self.space
        return {name: own for name, own in declared(self.kind).items() if name not in self.settings}

    @property
    def searchable(self) -> bool:
        """Whether there is anything to search."""
        return bool(self.ranges)

    def with_settings(self, settings: Mapping[str, Any]) -> Entrant:
        """The same entrant with other settings, as a search found them; no longer an object."""
        return replace(self, settings=dict(settings), model=None)


def entrants_of(
    models: Iterable[str | Recommender | Entrant],
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Entrant]:
    """Entrants for names, unfitted models and entrants; a label that is taken gets a number.

    Parameters
    ----------
    models : names, unfitted models or entrants
        A name may have settings in parentheses, as in ``blend(ease+gf-cf)``.
    settings : mapping name → hyper-parameters, optional
        For models given by name.

    Raises
    ------
    ModelError
        There is no such model or hyper-parameter.
    DataError
        A model predicts ratings, and comparisons are of rankings.
    """
    entrants: list[Entrant] = []
    taken: set[str] = set()
    for choice in models:
        entrant = _entrant_of(choice, settings or {})
        if entrant.kind.task != "ranking":
            raise DataError(
                f"{entrant.kind.name} cannot be compared by rankings: see shoal evaluate --model "
                f"{entrant.kind.name}"
            )
        label, number = entrant.label, 2
        while label in taken:
            label, number = f"{entrant.label}-{number}", number + 1
        taken.add(label)
        entrants.append(replace(entrant, label=label))
    for entrant in entrants:  # refuse bad settings before the first fit
        if entrant.model is None:
            entrant.unfitted()
    return entrants


def written_out(text: str) -> Entrant:
    """The entrant of a text with its settings: ``blend(ease+gf-cf)``, ``ease(l2=300)``.

    Raises
    ------
    ModelError
        The text has another form, or names several models or one that does not exist.
    """
    name, settings = single(text, "model")
    return Entrant("".join(text.split()), by_name(name), settings)


def _entrant_of(
    choice: str | Recommender | Entrant, settings: Mapping[str, Mapping[str, Any]]
) -> Entrant:
    if isinstance(choice, Entrant):
        return choice
    if isinstance(choice, Recommender):
        given = choice.model_dump(exclude_unset=True)
        return Entrant(choice.name, type(choice), given, tune=False, model=choice)
    if "(" in choice:
        return written_out(choice)
    kind = by_name(choice)
    return Entrant(kind.name, kind, dict(settings.get(kind.name, {})))
