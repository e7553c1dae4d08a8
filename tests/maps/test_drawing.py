"""What the script of a map gets: each text once."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from shoal.maps.colouring import by_attribute
from shoal.maps.drawing import drawing
from shoal.maps.item_map import ItemMap, Panel


@pytest.mark.parametrize(
    ("values", "sent"),
    [
        (["odd", "even", "odd"], None),  # the groups have them
        (["A|B", "A", "C"], ["A|B", "A", "C"]),
        (["A", None, "A"], ["A", "", "A"]),
    ],
)
def test_values_of_items_are_sent_where_groups_do_not_tell_them(
    values: list[str | None], sent: list[str] | None
) -> None:
    colouring = by_attribute(pl.DataFrame({"item": [1, 2, 3], "kind": values}), "kind")
    xy = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    made = ItemMap([1, 2, 3], ["a", "b", "c"], (Panel("m", xy, 1.0, 0.0),), colouring, 3, 2.0)
    colours = drawing(made)["colours"][0]
    assert colours.get("texts") == sent
    told = colours.get("texts") or [colours["groups"][code] for code in colours["codes"]]
    assert told == [value or "" for value in values]
