"""`ItemSearch`: finds items of a catalogue by words of their titles or by their ids."""

from __future__ import annotations

import numpy as np
import polars as pl

from shoal.base.recommender import Recommender
from shoal.data.titles import TITLES
from shoal.kernels.arrays import Long

MOST_WORDS = 16  # of a search; further words are not looked at
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
        title = next((name for name in TITLES if name in table.columns), None)
        titles = table[title].cast(pl.String).fill_null("") if title else ids
        self._ids, self._titles = folded(ids), folded(titles)
        self._texts = self._titles + "\n" + self._ids  # no word of a search has a line break
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
        matches, place = self._with_all_words(whole.split()[:MOST_WORDS])
        titles, ids = self._titles.filter(matches), self._ids.filter(matches)
        group = np.full(len(self._ids), 2, np.int8)
        group[place] -= titles.str.starts_with(whole).to_numpy()
        group[place[((ids == whole) | (titles == whole)).to_numpy()]] = 0
        found = self._order[matches.to_numpy()[self._order]]
        return found[np.argsort(group[found], kind="stable")]

    def _with_all_words(self, words: list[str]) -> tuple[pl.Series, Long]:
        """Whether each item has all words, and the positions of those that have."""
        texts, place = self._texts, np.arange(len(self._ids))
        for word in sorted(set(words), key=len, reverse=True):  # long ones are rare
            has_it = texts.str.contains(word, literal=True)
            # the next word is looked for where the words before it are
            texts, place = texts.filter(has_it), place[has_it.to_numpy()]
        matches = np.zeros(len(self._ids), np.bool_)
        matches[place] = True
        return pl.Series(matches), place


def folded(texts: pl.Series) -> pl.Series:
    """Texts without accents and in lower case, as they are compared."""
    plain = texts.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_lowercase()
    return plain.str.replace_many(list(_SPELLED), list(_SPELLED.values()))
