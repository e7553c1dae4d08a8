"""Models whose members score side by side: one text names them all, as in ``ease+gf-cf``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from pydantic import PrivateAttr

from shoal.base.composed import Composed
from shoal.base.model_text import written
from shoal.base.recommender import Recommender
from shoal.data.facts import LogFacts
from shoal.data.size import Size
from shoal.errors import DataError, ModelError
from shoal.kernels.arrays import Bool


class Members(Composed):
    """Base class of a model that joins the scores of several others, each of all items.

    Its hyper-parameter `parts` is the text of all members. In Python it may be a list of models and
    names of models.
    """

    parts: str

    _members: tuple[Recommender, ...] = PrivateAttr(())

    def __init__(
        self, /, parts: str | Sequence[str | Recommender] | None = None, **values: Any
    ) -> None:
        if parts is not None:
            values["parts"] = parts if isinstance(parts, str) else _text_of(self.name, parts)
        super().__init__(**values)
        self._members = self._read(self.parts)
        for member in self._members:
            self._check_part(member)

    @abstractmethod
    def _read(self, text: str) -> tuple[Recommender, ...]:
        """The unfitted models that a text names."""

    @classmethod
    def _joining(cls, models: Sequence[Recommender], **settings: Any) -> Self:
        """Join members that are fitted already.

        Raises
        ------
        ModelError
            There are none.
        DataError
            They were fitted on different items, or on the same in another order.
        """
        if not models:
            raise ModelError(f"{cls.name}: give the models that are to be joined")
        first = models[0]
        for other in models[1:]:
            if other.items != first.items:
                raise DataError(
                    f"{first.name} knows {first.n_items:,} items and {other.name} "
                    f"{other.n_items:,}, not all the same: fit both on the same training data"
                )
        joined = cls(models, **settings)
        joined._members = tuple(models)
        joined.restore_catalogue(
            first.items, first.item_table, first.fingerprint, {}, first.preparation
        )
        counts = [model.item_counts for model in models if model.item_counts is not None]
        if len(counts) == len(models):
            joined._item_counts = np.maximum.reduce(counts)
        return joined

    @property
    def members(self) -> tuple[Recommender, ...]:
        """The models whose scores are joined."""
        return self._members

    @property
    def deep(self) -> bool:  # type: ignore[override]
        """Whether one of the members is deep."""
        return any(member.deep for member in self.members)

    def _find_known_items(self) -> Bool:
        known: Bool = np.logical_or.reduce([member.known_items for member in self.members])
        return known

    def _parts(self) -> dict[str, Recommender]:
        return {str(index): member for index, member in enumerate(self.members)}

    def with_parts(self, changed: Callable[[Recommender], Recommender]) -> dict[str, str]:
        """The text of the members, if each is changed so."""
        return {"parts": "+".join(written(changed(member)) for member in self.members)}

    def until_best(self) -> Self:
        """The same model, unfitted, with the best epochs of each member."""
        return self._changed(lambda member: member.until_best())

    def briefly(self, n_items: int) -> Self:
        """The same model, unfitted, with members for a quick fit."""
        return self._changed(lambda member: member.briefly(n_items))

    def bytes_to_fit(self, size: Size) -> int:
        """The most that a member needs beside those fitted before it."""
        most = kept = 0
        for member in self.members:
            most = max(most, kept + member.bytes_to_fit(size))
            kept += member.bytes_of_model(size)
        return most

    def bytes_beside(self, data: LogFacts) -> int:
        """The largest need of a member for item vectors."""
        return max(member.bytes_beside(data) for member in self.members)


def _text_of(name: str, parts: Sequence[str | Recommender]) -> str:
    """The text that names members which are given one by one."""
    if not isinstance(parts, Sequence) or not all(isinstance(p, str | Recommender) for p in parts):
        raise ModelError(
            f"{name}: parts={parts!r:.80}: give models or their names, such as "
            "[shoal.EDLAE(), 'gf-cf'], or a text such as 'edlae+gf-cf'"
        )
    return "+".join(part if isinstance(part, str) else written(part) for part in parts)
