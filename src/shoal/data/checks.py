"""Whether a log is such that a model can be fitted on it."""

from __future__ import annotations

import numpy as np

from shoal.data.facts import LogFacts
from shoal.data.interactions import Interactions
from shoal.errors import DataError


def check_enough(data: LogFacts) -> None:
    """Refuse data that no model can be fitted on.

    Raises
    ------
    DataError
        There is no interaction, or only one item.
    """
    size = data.size
    if size.n_interactions == 0:
        raise DataError("there is no interaction to fit on")
    if size.n_items < 2:
        raise DataError(
            "there is one item only: nothing can be ranked. Is the column of items the right one "
            "(--columns item=…)?"
        )


def check_users(data: LogFacts) -> None:
    """Refuse the log of a single user: what others like cannot be learned from it.

    A fit itself does not refuse it, since the formulas hold for one user too.

    Raises
    ------
    DataError
        There is one user only.
    """
    if data.n_users < 2:
        raise DataError(
            "there is one user only: a model is fitted on several. Is the column of users the "
            "right one (--columns user=…)?"
        )


def check_weights(data: Interactions, *, positive: bool = True) -> None:
    """Refuse data whose values are no weights.

    Parameters
    ----------
    data : Interactions
    positive : bool
        Whether values of zero and below are refused; they may be ratings for models that rate.

    Raises
    ------
    DataError
        A value is NaN or infinite, or not positive.
    """
    if data.values is None:
        return
    bad = ~np.isfinite(data.values)
    wrong = "NaN or infinite"
    if positive:
        bad |= data.values <= 0
        wrong = "zero, negative, NaN or infinite"
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        user = data.users.take([data.user_codes[first]])[0]
        item = data.items.take([data.indices[first]])[0]
        raise DataError(
            f"{int(bad.sum()):,} values are {wrong}, the first {data.values[first]} of user "
            f"{user!r} and item {item!r}: models that rank need weights above 0. Choose the rows "
            "that count by --min-value, take --values binary, or a model that rates (i-autorec)"
        )
