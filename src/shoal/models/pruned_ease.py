"""Pruned EASE: EASE's B, of which each column keeps the `keep` largest |B[j, i]|, else 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from shoal.base.hyper import hyper
from shoal.base.recommender import Recommender, Validation
from shoal.base.weights import SparseWeights, Weights
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.kernels.pruning import largest_of_columns
from shoal.kernels.threads import use_threads
from shoal.models.ease import EASE
from shoal.run import Run


class PrunedEASE(EASE):
    """EASE with a sparse B: the fit is that of EASE, the model folder and serving are small.

    Each candidate listens to the `keep` items whose weights are largest, of either sign. Where the
    n × n matrix of the fit itself is too large, `mrf` is the model.
    """

    name: ClassVar[str] = "pruned-ease"

    keep: int = hyper(100, "weights kept per item", ge=1, search=(10, 500), scale="log")

    def _fit(self, interactions: Interactions, run: Run) -> None:
        super()._fit(interactions, run)
        self._prune(self._fitted_weights, run)

    @property
    def _can_share_inverse(self) -> bool:
        return False

    def _prune(self, whole: Weights, run: Run) -> None:
        B = np.asarray(whole.matrix())
        with run.progress.step(f"{self.name}: largest weights"):
            items, weights = largest_of_columns(B, min(self.keep, len(B) - 1))
            there = weights != 0
            targets = np.repeat(np.arange(len(B), dtype=np.int32), there.sum(axis=1))
            kept = CSR((weights[there], (items[there], targets)), shape=B.shape)
        self._weights = SparseWeights(kept)
        self._facts["weights"] = float(there.sum())

    @classmethod
    def fit_grid(
        cls,
        settings: Sequence[Mapping[str, Any]],
        interactions: Interactions,
        validation: Validation | None = None,
        run: Run | None = None,
    ) -> Iterator[tuple[int, Recommender]]:
        """Fit EASE once for all settings that differ in `keep` only."""
        run = run or Run()
        models = [cls(**s) for s in settings]
        groups: dict[str, list[int]] = {}
        for at, model in enumerate(models):
            groups.setdefault(model.model_dump_json(exclude={"keep"}), []).append(at)
        for members in groups.values():
            models[members[0]].check_can_fit(interactions, run)
            whole = cls(**settings[members[0]])
            with use_threads(run.threads):
                EASE._fit(whole, interactions, run)
            for at in members:
                with use_threads(run.threads):
                    models[at]._facts = whole.facts
                    models[at]._prune(whole._fitted_weights, run)
                models[at].take_catalogue(interactions)
                yield at, models[at]
            del whole

    def bytes_to_fit(self, size: Size) -> int:
        """EASE's, and the kept weights, three times while they are sorted."""
        kept = 36 * size.n_items * min(self.keep, size.n_items)
        return super().bytes_to_fit(size) + kept

    def bytes_of_model(self, size: Size) -> int:
        """At most `keep` weights of each item."""
        return 8 * size.n_items * min(self.keep, size.n_items) + 8 * (size.n_items + 1)
