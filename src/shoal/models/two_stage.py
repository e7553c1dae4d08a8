"""Two stages: one model retrieves candidates by its item vectors, and another one ranks them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import PrivateAttr

from shoal.base import stages
from shoal.base.hyper import hyper
from shoal.base.model_text import as_texts, single
from shoal.base.recommender import Recommender
from shoal.base.weights import best_of_scores
from shoal.data.interactions import CSR
from shoal.errors import ModelError
from shoal.kernels.arrays import Bool, Float, Int, Ranking, Seen
from shoal.models.registry import create, models


class TwoStage(stages.Staged):
    """Retrieval of candidates, then ranking, as large services do it.

    The `candidates` items with the largest inner products of the retriever's vectors are ranked by
    the ranker's scores; the items outside follow in the retriever's order. Retrieval is exact, or
    approximate by an index of the retriever's vectors. In Python, both stages may be models, and
    ``retriever.factors=64`` sets one hyper-parameter of a stage.
    """

    name: ClassVar[str] = "two-stage"

    retriever: str = hyper("spectral-ease", "model with item vectors: name(parameter=value;…)")
    ranker: str = hyper("ease", "model that ranks the candidates, written likewise")
    candidates: int = hyper(300, "how many items are retrieved and ranked", ge=1)

    _models: tuple[Recommender, Recommender] = PrivateAttr()

    def __init__(self, /, **values: Any) -> None:
        super().__init__(**as_texts(type(self), values, stages.STAGES))
        named = (single(getattr(self, stage), stage) for stage in stages.STAGES)
        retriever, ranker = (create(*one) for one in named)
        self._models = retriever, ranker
        for part in self._models:
            self._check_part(part)
        if not retriever.has_vectors:
            having = ", ".join(name for name, kind in models().items() if kind.has_vectors)
            raise ModelError(
                f"{self.name}: {retriever.name} has no item vectors to retrieve by: take one of "
                f"{having}"
            )

    @property
    def stages(self) -> tuple[Recommender, Recommender]:
        """The model that retrieves, and the model that ranks."""
        return self._models

    def _score(self, histories: CSR) -> Float:
        seen = histories.indptr.astype(np.int64), histories.indices.astype(np.int32)
        return self._score_among(histories, seen, self._retrieved)

    def _score_among(self, histories: CSR, seen: Seen, allowed: Bool) -> Float:
        retriever, ranker = self._models
        barred, _ = stages.joint(histories, seen)
        found, _ = retriever.rank(histories, self._n_candidates, barred, allowed)
        scores, retrieved = ranker._score(histories), retriever._score(histories)
        return stages.scores_of_all(found, scores, retrieved, histories, allowed)

    def _rank(
        self, histories: CSR, k: int, seen: Seen, allowed: Bool, device: str | None
    ) -> Ranking:
        retriever, ranker = self._models
        barred, all_seen = stages.joint(histories, seen)
        if not all_seen:  # what stands in a history may be listed, and is ranked too
            return best_of_scores(self._score_among(histories, seen, allowed), k, seen, allowed)
        n = self._n_candidates
        items, retrieved = retriever.rank(histories, max(n, k), barred, allowed, device)
        ranked = ranker._score_items(histories, items[:, :n])
        return stages.lists_of_candidates(items, retrieved, ranked, k)

    @property
    def _n_candidates(self) -> int:
        return min(self.candidates, self.n_items)

    def evidence(self, history: Int, weights: Float, item: int) -> dict[str, float]:
        """Return what `item` has less than the ranker's score, where it is no candidate."""
        own = np.array([0, len(history)]), np.asarray(history, np.int32)
        items = np.array([item], np.int32)
        return self.evidence_among(history, weights, items, own, self._retrieved)[0]

    def evidence_among(
        self, history: Int, weights: Float, items: Int, seen: Seen, allowed: Bool
    ) -> list[dict[str, float]]:
        """Return the same where `allowed` items that were not `seen` could be candidates."""
        row = CSR((weights, history, [0, len(history)]), shape=(1, self.n_items))
        scores = self._score_among(row, seen, allowed)[0, items]
        ranked = self._models[1]._score(row)[0, items]
        return [
            {} if whole == r else {"ranking": float(r), "not being a candidate": float(whole - r)}
            for whole, r in zip(scores, ranked, strict=True)
        ]
