"""Product of models: p = Π_m p_m, so each member can veto an item; VASP is FLVAE times NEASE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from shoal.base.costs import Costs
from shoal.base.deep import DeepRecommender
from shoal.base.hyper import hyper
from shoal.base.members import Members
from shoal.base.recommender import Recommender, Validation
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.errors import ModelError
from shoal.kernels.arrays import Float
from shoal.models.registry import named_in
from shoal.run import Run

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase

FALLS = ((50, 0.2), (70, 0.02))  # (epoch, factor of lr from then on), as in the paper


class Product(Members, DeepRecommender):  # type: ignore[override]
    """Hadamard product of member models (Vančura and Kordík, RecSys 2021, section 3.3).

    There are three modes. `joint` minimises the focal loss of Π_m p_m, where one half of a history
    predicts the other half, plus the members' own penalties. `alternating` has the same loss, but
    each epoch has one pass per member that changes that member only. An `ensemble` fits each
    member on its own; members may be of any kind. Scores are Σ_m log p_m, with log p_m =
    log σ(score) for members that have no probability. In Python, `parts` may be a list of models;
    `Product.of` joins models that are fitted already.
    """

    name: ClassVar[str] = "product"
    scores_are_log_probabilities: ClassVar[bool] = True

    parts: str = hyper("flvae+nease(loss=focal)", "member models: name(parameter=value;…)+name…")
    mode: Literal["joint", "alternating", "ensemble"] = hyper("joint", "how members are trained")
    alpha: float = hyper(0.25, "α, weight of positives in the focal loss (others 1−α)", gt=0, lt=1)
    gamma: float = hyper(2.0, "γ, damps easy entries in the focal loss", ge=0)
    lr: float = hyper(5e-4, "learning rate (not of an ensemble)", gt=0, search=(5e-5, 5e-3))
    n_epochs: int = hyper(90, "most epochs; lr falls to 1/5 after 50, to 1/50 after 70", ge=1)

    def __init__(self, /, parts: str | Sequence[Recommender] | None = None, **values: Any) -> None:
        super().__init__(parts, **values)
        for member in self.members:
            if self.mode != "ensemble" and not hasattr(member, "_log_probability"):
                raise ModelError(
                    f"{self.name}: {member.name} cannot be trained together with others: use "
                    "mode=ensemble, or members such as flvae and nease"
                )

    def _read(self, text: str) -> tuple[Recommender, ...]:
        return named_in(text)

    @classmethod
    def of(cls, *models: Recommender) -> Self:
        """Return the product of models that are fitted already.

        Parameters
        ----------
        *models : Recommender
            At least one; all fitted on the same items.

        Returns
        -------
        Product
            Fitted, in the mode `ensemble`.

        Raises
        ------
        DataError
            They were fitted on different items, or on the same in another order.
        """
        return cls._joining(models, mode="ensemble")

    @property
    def _together(self) -> tuple[Any, ...]:
        """The members, typed as deep models with `_log_probability`, to train them together."""
        return self._members

    def _fit_validated(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        if self.mode != "ensemble":
            DeepRecommender._fit_validated(self, interactions, validation, run)
        else:
            self._fit_parts(interactions, validation, run)

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        from torch import nn

        for member in self._together:
            member._network = member._build(n_users, n_items)
        return nn.ModuleList(member._network for member in self._together)

    def _start(self, network: Any, interactions: Interactions, run: Run) -> None:
        for member, part in zip(self._together, network, strict=True):
            member._start(part, interactions, run)

    def _phases(self, network: Any) -> list[Phase]:
        from shoal.training.blocks import nadam

        if self.mode == "joint":
            return [nadam(network.parameters(), self.lr, FALLS)]
        return [
            replace(nadam(part.parameters(), self.lr, FALLS), name=str(index))
            for index, part in enumerate(network)
        ]

    def _log_probability(
        self, network: Any, batch: Batch, generator: torch.Generator | None, turn: str = "all"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        log_ps, penalties = [], []
        for index, (member, part) in enumerate(zip(self._together, network, strict=True)):
            its_turn = turn in ("all", str(index))
            with torch.set_grad_enabled(torch.is_grad_enabled() and its_turn):
                log_p, penalty = member._log_probability(part, batch, generator)
            log_ps.append(log_p)
            penalties.append(penalty)
        return sum(log_ps[1:], log_ps[0]), sum(penalties[1:], penalties[0])

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        from shoal.training.focal import focal

        inputs, targets = batch.halves(generator)
        log_p, penalty = self._log_probability(network, inputs, generator, clock.phase)
        return (focal(log_p, targets, self.alpha, self.gamma) + penalty).mean()

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        return self._log_probability(network, batch, None)[0]

    def _score(self, histories: CSR) -> Float:
        total = np.zeros(histories.shape, np.float32)
        for member in self.members:
            scores = member._score(histories)
            logs = getattr(member, "scores_are_log_probabilities", False)
            total += scores if logs else -np.logaddexp(np.float32(0), -scores)
        return total

    def until_best(self) -> Self:
        """Return the same product, unfitted, with the best epochs (of each ensemble member)."""
        return (DeepRecommender if self.mode != "ensemble" else Members).until_best(self)

    def briefly(self, n_items: int) -> Self:
        """The same product, unfitted, with a single epoch, of each member in an ensemble."""
        return (DeepRecommender if self.mode != "ensemble" else Members).briefly(self, n_items)

    def bytes_to_fit(self, size: Size) -> int:
        """Return the members' sum; in an ensemble, the most of one beside those fitted before."""
        if self.mode != "ensemble":
            return sum(member.bytes_to_fit(size) for member in self.members)
        return super().bytes_to_fit(size)

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of the joint training or, in an ensemble, the members' sum."""
        if self.mode != "ensemble":
            return DeepRecommender.work_to_fit(self, size, n_pairs)
        return super().work_to_fit(size, n_pairs)

    def trained_parts(self) -> tuple[Costs, ...]:
        """Return the product itself or, in an ensemble, the members trained epoch by epoch."""
        if self.mode != "ensemble":
            return DeepRecommender.trained_parts(self)
        return super().trained_parts()

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights of the members, added up."""
        return sum(member.n_parameters(n_users, n_items) for member in self._together)
