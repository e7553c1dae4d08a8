"""The lists of the first page: one for each model that was chosen, with reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from shoal.base.rating import RatingRecommender
from shoal.base.recommender import Recommender
from shoal.errors import HistoryError, ModelError
from shoal.inference.explanations import attributes_of, strongest
from shoal.inference.filters import item_mask
from shoal.inference.history import read_history
from shoal.inference.leave_one_out import losses_without
from shoal.inference.recommend import recommend
from shoal.inference.recommendations import Recommendations
from shoal.kernels.arrays import Int
from shoal.kernels.threads import use_threads
from shoal.service import answers
from shoal.service.endpoints import Call
from shoal.service.live import Served
from shoal.service.problems import Problem
from shoal.service.views.addresses import address_of_item, address_of_steering, written
from shoal.service.views.live_models import name_in_address
from shoal.service.views.reasons import with_reasons
from shoal.service.views.scores import with_bars
from shoal.service.views.try_state import State

MOST_REASONS = 20_000  # items of a list times items of the history
MOST_LEFT_OUT = 50  # items of a history that are left out one after the other


@dataclass
class ModelList:
    """The list of one model, as the page shows it.

    Parameters
    ----------
    name : str
        Of `Service.models`.
    served : Served or None
        The version that answered; None where there is none yet.
    rows : list of dict
    reasons : str
        "exact" for what each item of the history adds, "estimates" for what a score loses without
        it, else why there are none.
    fallback : bool
        Whether these are the most popular items.
    refused, filter_error : str
        Why there is no list, and what is wrong with the filter, which then was not applied.
    notes : list of str
    unknown : list of ids
        Of the history; the model does not know them.
    steer : str
        Address of the page that steers such a list.
    """

    name: str
    served: Served | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    reasons: str = ""
    fallback: bool = False
    refused: str = ""
    filter_error: str = ""
    notes: list[str] = field(default_factory=list)
    unknown: list[Any] = field(default_factory=list)
    steer: str = ""


def lists_of(call: Call, state: State) -> list[ModelList]:
    """The lists of all chosen models, with marks of items that are in several of them."""
    lists = [_list_of(call, name, state) for name in state.models]
    answered = [one for one in lists if one.rows]
    if len(answered) > 1:
        times = Counter(row["item"] for one in answered for row in one.rows)
        for one in answered:
            for row in one.rows:
                row["in_lists"] = times[row["item"]]
    return lists


def filter_errors(lists: list[ModelList]) -> list[str]:
    """What is wrong with the filter, each mistake once, and by which models unless by all."""
    names: dict[str, list[str]] = {}
    for one in lists:
        if one.filter_error:
            names.setdefault(one.filter_error.removeprefix("filter: "), []).append(one.name)
    return [
        text if len(of) == len(lists) else f"{', '.join(of)}: {text}" for text, of in names.items()
    ]


def _list_of(call: Call, name: str, state: State) -> ModelList:
    made = ModelList(name)
    try:
        call.use(name, "query.models")
        made.served = call.served
    except Problem as problem:  # its first version is being loaded, or cannot be
        made.refused = problem.detail
        return made
    model = made.served.model
    if state.filter:
        try:
            item_mask(model, state.filter)
        except HistoryError as error:
            made.filter_error = str(error)
    try:
        _fill(made, model, state)
    except (HistoryError, ModelError) as error:  # e.g. it rates for users of its training alone
        made.refused = str(error)
    return made


def _fill(made: ModelList, model: Recommender, state: State) -> None:
    """Recommend, and tell of each item why."""
    positions = model.items.lookup(state.history)
    history: list[Any] = [
        i if code < 0 else model.items.take([code])[0]
        for i, code in zip(state.history, positions.tolist(), strict=True)
    ]
    weighted: Any = history
    if isinstance(model, RatingRecommender):  # what somebody likes has the highest rating
        weighted = dict.fromkeys(history, model.known.high)
    k = answers.clipped(model, state.k)
    rules: dict[str, Any] = {"less": state.less, "run": answers.ONE_THREAD}
    if state.filter and not made.filter_error:
        rules["filter"] = state.filter
    n_known = len(state.history) + len(state.less)
    exact = model.explains and model.personal and k * n_known <= MOST_REASONS
    answer = recommend(model, weighted, k, because=bool(history) and exact, **rules)
    made.fallback = bool(answer.fallback)
    made.unknown = list(answer.unknown)
    made.notes = [*answer.notes, *([answer.shortfall] if answer.shortfall else [])]
    rows = [answers.row(item, explain=True) for item in answer.rows]
    if made.fallback or not history:
        pass
    elif exact:
        made.reasons = "exact"
    elif not model.personal:
        made.reasons = f"{model.name} recommends the same to everyone, so there are no reasons."
    elif model.explains or n_known > MOST_LEFT_OUT:
        made.reasons = "The history is too long to show what each of its items does."
    else:
        _add_estimates(model, weighted, state, rows, answer)
        made.reasons = "estimates"
    if state.history and not made.fallback and model.personal:
        made.steer = address_of_steering(
            history=written(state.history), model=name_in_address(made.name)
        )
    less = model.items.take(_known(model, state.less))
    made.rows = with_bars(with_reasons(rows, set(less)))
    for row in made.rows:
        item = str(row["item"])
        row["address"] = address_of_item(item, model=name_in_address(made.name))
        row["like"], row["less"] = state.liking(item), state.disliking(item)
        row["in_lists"] = 0


@use_threads(1)
def _add_estimates(
    model: Recommender, history: Any, state: State, rows: list[Any], answer: Recommendations
) -> None:
    """Give the rows what their scores lose without each item of the history as reasons."""
    read = read_history(model, history, less=state.less)
    codes = model.items.lookup(answer.items)
    losses = losses_without(model, read.row, codes, read.less)
    places: Any = [*read.row.indices.tolist(), *read.less.tolist()]
    ids = model.items.take(places)
    attributes = attributes_of(model, _positions(places))
    for number, row in enumerate(rows):
        reasons = strongest(ids, attributes, losses[:, number])
        row["because"] = [answers.reason(reason) for reason in reasons]


def _known(model: Recommender, ids: tuple[str, ...]) -> Int:
    codes = model.items.lookup(ids)
    return codes[codes >= 0]


def _positions(places: list[int]) -> Int:
    import numpy as np

    return np.array(places, np.int32)
