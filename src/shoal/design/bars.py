"""Bars of reasons (``.because``): around a middle, for to the right and against to the left."""

from __future__ import annotations

HALF = 50.0  # length of the longest bar, from the middle to one side


def reason_bar(amount: float, longest: float) -> dict[str, str]:
    """Where the bar of a reason begins (``left``) and its length (``bar``), as an SVG has them.

    Parameters
    ----------
    amount : float
        What the reason adds.
    longest : float
        The largest amount, without its sign, of all bars that are compared.
    """
    length = HALF * abs(amount) / longest if longest else 0.0
    return {"bar": f"{length:.1f}", "left": "0" if amount >= 0 else f"{-length:.1f}"}
