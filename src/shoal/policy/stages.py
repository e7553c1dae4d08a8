"""An ``embedding_policy`` and a ``scoring_policy`` together: one model of two stages."""

from __future__ import annotations

from typing import Any

from shoal.base.model_text import text_of
from shoal.base.ranges import Space
from shoal.errors import ModelError
from shoal.models.registry import by_name, models
from shoal.policy.spec import PolicySpec

TWO_STAGE = "two-stage"


def two_stages(
    retriever: PolicySpec, ranker: PolicySpec, *, candidates: int | None, at: str
) -> PolicySpec:
    """The model that retrieves candidates by one policy and ranks them by another.

    Parameters
    ----------
    retriever, ranker : PolicySpec
    candidates : int, optional
        How many items the first one finds for the second; the model's default, if not given.
    at : str
        The file and the line, for messages.

    Raises
    ------
    ModelError
        The first has no vectors of items, or both count different events.
    """
    if not by_name(retriever.name).has_vectors:
        having = ", ".join(name for name, kind in models().items() if kind.has_vectors)
        raise ModelError(
            f"{at}: embedding_policy: {retriever.name} has no vectors of items to retrieve by: "
            f"name one of {having} there, or leave embedding_policy out"
        )
    events = {policy.events for policy in (retriever, ranker) if policy.events}
    if len(events) > 1:
        raise ModelError(
            f"{at}: embedding_policy and scoring_policy have different event_values: both stages "
            "learn from one log, so give both the same"
        )
    settings: dict[str, Any] = {
        "retriever": text_of(retriever.name, retriever.settings),
        "ranker": text_of(ranker.name, ranker.settings),
    }
    if candidates is not None:
        settings["candidates"] = candidates
    space: Space = {
        f"{stage}.{name}": values
        for stage, policy in (("retriever", retriever), ("ranker", ranker))
        for name, values in policy.space.items()
    }
    notes = [*retriever.notes, *ranker.notes]
    if events and not (retriever.events and ranker.events):
        named, other = ("embedding_policy", "scoring_policy")[:: 1 if retriever.events else -1]
        notes.append(
            f"{at}: both stages learn from one log, so the event_values of {named} are also those "
            f"of {other}"
        )
    only = next(iter(events), ())
    return PolicySpec(TWO_STAGE, TWO_STAGE, settings, space, "scoring", tuple(notes), only)
