"""Pruned EASE: EASE's B, with all but the `keep` largest |B[j, i]| of each column i set to 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from shoal.base.hyper import hyper
from shoal.base.recommender import Recommender, Validation
from shoal.base.system import System
from shoal.base.weights import SparseWeights, Weights
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.kernels.pruning import largest_of_columns
from shoal.kernels.threads import use_threads
from shoal.models.ease import EASE
from shoal.run import Run


class PrunedEASE(EASE):
    """EASE with a sparse B: the fit needs what EASE needs, the fitted model is small.

    Each candidate item keeps its `keep` weights of largest magnitude, of either sign. Where the
    n × n matrix of the fit itself is too large, use `mrf`.
    """

    name: ClassVar[str] = "pruned-ease"

    keep: int = hyper(100, "weights kept per item", ge=1, search=(10, 500), scale="log")

    def fit_system(self, system: System, run: Run) -> None:
        """Compute B of the formula, and prune it."""
        super().fit_system(system, run)
        self._prune(self._fitted_weights, run)

    @property
    def can_share_inverse(self) -> bool:
        """Return whether B is that of the formula."""
        return False

    def _prune(self, whole: Weights, run: Run) -> None:
        B = np.asarray(whole.matrix())
        with run.progress.step(f"{self.name}: largest weights"):
            items, weights = largest_of_columns(B, min(self.keep, len(B) - 1))
            present = weights != 0
            targets = np.repeat(np.arange(len(B), dtype=np.int32), present.sum(axis=1))
            kept = CSR((weights[present], (items[present], targets)), shape=B.shape)
        self._weights = SparseWeights(kept)
        self._facts["weights"] = float(present.sum())

    @classmethod
    def fit_grid(
        cls,
        settings: Sequence[Mapping[str, Any]],
        interactions: Interactions,
        validation: Validation | None = None,
        run: Run | None = None,
    ) -> Iterator[tuple[int, Recommender]]:
        """Fit all settings, with one EASE for those that differ in `keep` only."""
        run = run or Run()
        models = [cls(**s) for s in settings]
        groups: dict[str, list[int]] = {}
        for index, model in enumerate(models):
            groups.setdefault(model.model_dump_json(exclude={"keep"}), []).append(index)
        for members in groups.values():
            models[members[0]].check_can_fit(interactions, run)
            unpruned = cls(**settings[members[0]])
            with use_threads(run.threads, fit=True):
                EASE.fit_system(unpruned, unpruned.system(interactions, run), run)
            for index in members:
                with use_threads(run.threads, fit=True):
                    models[index]._facts = unpruned.facts
                    models[index]._prune(unpruned._fitted_weights, run)
                models[index].take_catalogue(interactions)
                yield index, models[index]
            del unpruned

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of EASE's fit and of the kept weights, held three times in sorting."""
        kept = 36 * size.n_items * min(self.keep, size.n_items)
        return super().bytes_to_fit(size) + kept

    def bytes_of_model(self, size: Size) -> int:
        """Return the bytes of at most `keep` weights per item, with their rows."""
        return 8 * size.n_items * min(self.keep, size.n_items) + 8 * (size.n_items + 1)
