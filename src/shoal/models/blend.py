"""Blend of models: s = Σ_m w_m·s_m/σ_m, a weighted sum of scores that have one spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from shoal.base.blended import Blended
from shoal.base.hyper import hyper
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.models.registry import named_in
from shoal.run import Run
from shoal.splitting.held_out import HeldOut


class Blend(Blended):
    """Weighted sum of any models that rank, with weights chosen on validation users.

    The members are fitted each on its own. σ_m, the spread of a member's scores, is one number per
    member: the standard deviation over a person's unseen items, as a mean over training users. The
    weights add up to 1. With validation users, the weights in equal steps (20 for two members) are
    compared by `metric` in one pass that fits nothing again, and each member alone is one of the
    candidates; without, all weights are equal. Since σ_m is the same for everyone, what a history
    item adds to a score is Σ_m w_m/σ_m times what it adds to the members' scores. A convex
    combination with standardised scores as in Montague and Aslam (CIKM 2001) and Bruch, Gai and
    Ingber (TOIS 2023), who find that the way of scaling matters little once the weight is chosen.
    `Blend.of` joins models that are fitted already.
    """

    name: ClassVar[str] = "blend"

    parts: str = hyper("edlae+gf-cf", "member models: name(parameter=value;…)+name…")
    weights: str = hyper("", "a number per member, such as 0.7,0.3; empty: chosen on validation")
    metric: str = hyper("ndcg@100", "what validation users decide the weights by")

    def _read(self, text: str) -> tuple[Recommender, ...]:
        return named_in(text)

    @classmethod
    def of(
        cls,
        *models: Recommender,
        on: HeldOut | Interactions,
        weights: str | Sequence[float] = "",
        metric: str = "ndcg@100",
        run: Run | None = None,
    ) -> Self:
        """Return the blend of models that are fitted already.

        Parameters
        ----------
        *models : Recommender
            At least two; all fitted on the same items.
        on : HeldOut or Interactions
            Validation users, on which the weights are chosen if none are given; or a log. The
            spread of the scores is that for these histories.
        weights : sequence of float, optional
            A number for each model; they are divided by their sum.
        metric : str
        run : Run, optional
            Memory budget, threads and progress.

        Returns
        -------
        Blend

        Raises
        ------
        DataError
            The models, or what they are joined on, have different items.
        """
        blend = cls._joining(models, weights=weights, metric=metric)
        blend._join_on(on, run or Run())
        return blend
