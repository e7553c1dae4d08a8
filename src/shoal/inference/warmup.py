"""`warm_up`: everything that is made once, before the first request is answered."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from shoal.base.factored import FactoredRecommender
from shoal.base.linear import LinearRecommender
from shoal.base.rating import RatingRecommender
from shoal.base.recommender import Recommender
from shoal.base.weights import best_of_scores
from shoal.errors import HistoryError, ModelError
from shoal.inference.complement import complement
from shoal.inference.explain import explain
from shoal.inference.history import read_history
from shoal.inference.predict import predict
from shoal.inference.rank import rank
from shoal.inference.recommend import answer, recommend
from shoal.inference.rules import AllowedItems, check_model
from shoal.inference.similar import dissimilar, similar
from shoal.kernels.arrays import Float
from shoal.kernels.threads import use_threads
from shoal.run import Run

_HISTORY, _LIST = 3, 10  # items of a history, and of a list


def warm_up(model: Recommender, run: Run | None = None) -> None:
    """Compile and load all that the answers to single people need, so that none has to wait.

    Kernels are compiled when they are first called, and tables such as that from ids to positions
    are made when they are first needed; in a new process that takes seconds. A service calls this
    before it says that it is ready. Afterwards, `recommend`, `rank`, `complement`, `similar`,
    `dissimilar`, `explain` and `predict` compile nothing for this model. A model with a large array
    of item vectors also gets a copy of it in 8 bits, a quarter of its memory, by which it ranks one
    history in half the time, with the same result.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded; with the index that it serves, if any.
    run : Run, optional
        As for the answers that will follow.
    """
    check_model(model)
    if isinstance(model, RatingRecommender):
        _warm_up_ratings(model)
        if model.by_item:
            return
    if isinstance(model.vector_model, FactoredRecommender):
        model.vector_model.round_vectors()
    known = np.flatnonzero(model.known_items)
    # the first items of the catalogue may all be alike, so they are taken from all of it
    chosen = known[np.linspace(0, known.size - 1, min(_HISTORY, known.size)).astype(int)]
    history = model.items.take(chosen)
    k = min(_LIST, model.n_items)
    recommend(model, history, k, because=model.explains, run=run)
    # a model without the numbers of training users has no answer to an empty history
    with suppress(HistoryError):
        recommend(model, [], k, run=run)
    recommend(model, history, k, exclude=history[:1], only=model.items.take(known), run=run)
    recommend(model, history, k, exclude_seen=False, seen=history[:1], run=run)
    rank(model, history, history, run=run)
    factors = np.ones(model.n_items, np.float32)
    factors.flags.writeable = False  # as those are that `filters` keeps: another type to numba
    boosted = AllowedItems(model.known_items, factors=factors)
    answer(model, read_history(model, history), k, boosted, run=run)
    if model.personal:
        recommend(model, history, k, diversity=0.5, run=run)
        complement(model, history, k, run=run)
        # what has no similar items says so in an error
        with suppress(ModelError):
            explain(model, history, history[0])
            similar(model, history[0], k, run=run)
    if isinstance(model, LinearRecommender):
        dissimilar(model, history[0], k)
    _warm_up_ties(model)


def _warm_up_ratings(model: RatingRecommender) -> None:
    """Load what rates a pair of a user and an item."""
    assert model.users is not None
    user, item = model.users.take([0])[0], model.items.take([0])[0]
    predict(model, user, [item])
    if not model.by_item:
        predict(model, None, [item], history={item: model.known.mean})


def _warm_up_ties(model: Recommender) -> None:
    """Compile what deals out the places of equal scores, and make the order that it follows."""
    n = model.n_items
    scores: Float = np.zeros((1, n), np.float32)
    nothing = np.zeros(2, np.int64), np.empty(0, np.int32)
    with use_threads(1):
        best_of_scores(scores, max(1, n // 2), nothing, np.ones(n, np.bool_))
