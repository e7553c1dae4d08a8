"""`ItemSearch`: finds items of a catalogue by words of their titles or by their ids."""

from __future__ import annotations

import numpy as np
import polars as pl

from shoal.base.recommender import Recommender
from shoal.kernels.arrays import Bool, Long

MOST_WORDS = 16  # of a search; further words are not looked at
_TITLES = ("title", "name")  # columns of the item table that are searched, if they are there
# letters that are no letter with an accent, though people type them as if they were
_SPELLED = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "þ": "th",
}  # fmt: skip


class ItemSearch:
    """The titles and ids of a model's items, ready to be searched; made once for each model.

    Cases and accents do not matter: "cafe" finds "Café". An item is found if its title or id
    has all words of the search, each anywhere. The order is: items whose id or whole title is
    the text, items whose title begins with it, all others; within these, items that more
    training users had come first.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    """

    def __init__(self, model: Recommender) -> None:
        table, ids = model.item_table, model.items.series.cast(pl.String)
        title = next((name for name in _TITLES if name in table.columns), None)
        titles = table[title].cast(pl.String).fill_null("") if title else ids
        self._ids, self._titles = folded(ids), folded(titles)
        counts = model.item_counts
        # positions in the order of the answer; a stable sort, so equal counts keep catalogue order
        self._order: Long = (
            np.arange(len(ids)) if counts is None else np.argsort(-counts, kind="stable")
        )

    def find(self, text: str = "") -> Long:
        """Find items.

        Parameters
        ----------
        text : str
            Words; without any, all items are found.

        Returns
        -------
        (m,) int64
            Positions in the catalogue, in the order described above.
        """
        whole = " ".join(folded(pl.Series([text]))[0].split())
        if not whole:
            return self._order
        matches: Bool = np.ones(len(self._ids), np.bool_)
        for word in whole.split()[:MOST_WORDS]:
            either = self._titles.str.contains(word, literal=True) | self._ids.str.contains(
                word, literal=True
            )
            matches &= either.to_numpy()
        is_it = ((self._ids == whole) | (self._titles == whole)).to_numpy()
        begins = self._titles.str.starts_with(whole).to_numpy()
        found = self._order[matches[self._order]]
        group = np.where(is_it[found], 0, np.where(begins[found], 1, 2))
        return found[np.argsort(group, kind="stable")]


def folded(texts: pl.Series) -> pl.Series:
    """Texts without accents and in lower case, as they are compared."""
    plain = texts.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_lowercase()
    return plain.str.replace_many(list(_SPELLED), list(_SPELLED.values()))
