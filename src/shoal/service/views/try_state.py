"""What a person chose on the first page; its address holds all of it."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from pydantic import Field

from shoal.service import limits
from shoal.service.problems import Problem
from shoal.service.schemas import Body
from shoal.service.settings import MAIN
from shoal.service.views.addresses import written

K = 10  # items of a list, unless another number is chosen
LENGTHS = (5, 10, 20, 50)
MOST_MODELS = 6  # side by side


class TryQuery(Body):
    """What links and forms of the first page send."""

    history: str = Field("", max_length=8000)
    less: str = Field("", max_length=8000)
    search: str = Field("", max_length=200)
    models: str = Field("", max_length=1000)
    k: int = Field(K, ge=1, le=LENGTHS[-1])
    filter: str = Field("", max_length=limits.EXPRESSION_CHARACTERS)
    part: str = Field("", max_length=20)  # "found": only what was found


@dataclass(frozen=True)
class State:
    """What a person chose.

    Parameters
    ----------
    history, less : tuple of str
        Ids of what somebody likes, in their order, and of which less is wanted; each once.
    models : tuple of str
        Names of live models; the first one's catalogue is searched.
    k : int
    filter, search : str
    """

    history: tuple[str, ...] = ()
    less: tuple[str, ...] = ()
    models: tuple[str, ...] = (MAIN,)
    k: int = K
    filter: str = ""
    search: str = ""

    @classmethod
    def of(cls, query: TryQuery, names: list[str]) -> State:
        """The state that a query holds; unknown models are left out (`unknown_models` names them).

        Raises
        ------
        Problem
            422: ids that cannot be read.
        """
        less = ids_in(query.less, "less")
        history = [i for i in ids_in(query.history, "history") if i not in less]
        models = [name for name in names_in(query.models) if name in names][:MOST_MODELS]
        condition, search = query.filter.strip(), query.search
        return cls(
            tuple(history), tuple(less), tuple(models) or (MAIN,), query.k, condition, search
        )

    @property
    def fields(self) -> dict[str, str]:
        """Names and values of all that is not as it would be without being chosen."""
        fields = {
            "history": written(self.history),
            "less": written(self.less),
            "models": "" if self.models == (MAIN,) else ",".join(self.models),
            "k": "" if self.k == K else str(self.k),
            "filter": self.filter,
            "search": self.search,
        }
        return {name: value for name, value in fields.items() if value}

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"/?{urlencode(self.fields, safe=',')}" if self.fields else "/"

    def hidden(self, *but: str) -> list[tuple[str, str]]:
        """Fields for a form that sets the others."""
        return [(name, value) for name, value in self.fields.items() if name not in but]

    def but(self, **changes: Any) -> str:
        """The address of the page with some changes."""
        return replace(self, **changes).address

    def liking(self, item: str) -> str:
        """The address with an item more in the history, and the search at its begin."""
        history = (*(i for i in self.history if i != item), item)
        return self.but(history=history, less=self._less_but(item), search="")

    def disliking(self, item: str) -> str:
        """The address with less of an item, which is taken out of the history."""
        less = (*self._less_but(item), item)
        return self.but(history=self._history_but(item), less=less, search="")

    def without(self, item: str) -> str:
        """The address that says nothing of an item."""
        return self.but(history=self._history_but(item), less=self._less_but(item), search="")

    def _history_but(self, item: str) -> tuple[str, ...]:
        return tuple(i for i in self.history if i != item)

    def _less_but(self, item: str) -> tuple[str, ...]:
        return tuple(i for i in self.less if i != item)


def unknown_models(query: TryQuery, names: list[str]) -> list[str]:
    """Names in the query of which no model answers here."""
    return [name for name in names_in(query.models) if name not in names]


def names_in(text: str) -> list[str]:
    """Names with commas between them, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def ids_in(text: str, place: str) -> list[str]:
    """The ids of a form, each once: with commas between them, those with commas in quotes.

    Raises
    ------
    Problem
        422: too many ids, or too long ones.
    """
    try:
        row = next(csv.reader([" ".join(text.split())], skipinitialspace=True), [])
    except csv.Error:
        raise Problem(422, f"query.{place}: write ids with commas between them") from None
    ids = list(dict.fromkeys(i.strip() for i in row if i.strip()))
    if len(ids) > limits.HISTORY or any(len(i) > limits.ID_CHARACTERS for i in ids):
        raise Problem(
            422,
            f"query.{place}: give at most {limits.HISTORY:,} ids of at most "
            f"{limits.ID_CHARACTERS} characters",
        )
    return ids
