"""Product of models: p = Π_m p_m, so that each member may veto; VASP is FLVAE times NEASE."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import PrivateAttr

from shoal.base.costs import Costs
from shoal.base.deep import DeepRecommender
from shoal.base.hyper import hyper
from shoal.base.recommender import Recommender, Validation
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.errors import DataError, ModelError
from shoal.kernels.arrays import Float, State
from shoal.run import Run

if TYPE_CHECKING:
    import torch

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Phase

FALLS = ((50, 0.2), (70, 0.02))  # factor of lr from an epoch on; as in the paper


class Product(DeepRecommender):
    """Hadamard product of member models (Vančura and Kordík, RecSys 2021, section 3.3).

    Trained `joint`: the focal loss of Π_m p_m, half of a history for the other half, plus the
    members' own penalties; or `alternating`, one member at a time, a pass each. An `ensemble` has
    members that were fitted on their own, of any kind. Scores are Σ_m log p_m, with
    log p_m = log σ(score) for members that have no p. In Python, members may be given as a list of
    models, or fitted ones joined by `Product.of`.
    """

    name: ClassVar[str] = "product"
    scores_are_log_probabilities: ClassVar[bool] = True

    parts: str = hyper("flvae+nease(loss=focal)", "members: name(parameter=value;…)+name…")
    mode: Literal["joint", "alternating", "ensemble"] = hyper("joint", "how it is trained")
    alpha: float = hyper(0.25, "focal loss: weight of positives; 1 − α of the others", gt=0, lt=1)
    gamma: float = hyper(2.0, "focal loss: less weight for what is easy", ge=0)
    lr: float = hyper(5e-4, "learning rate, but for an ensemble", gt=0, search=(5e-5, 5e-3))
    n_epochs: int = hyper(90, "at most; lr falls to 1/5 after 50, and to 1/50 after 70", ge=1)

    _members: tuple[Recommender, ...] = PrivateAttr(())

    def __init__(self, parts: str | Sequence[Recommender] | None = None, **values: Any) -> None:
        if parts is not None:
            values["parts"] = parts if isinstance(parts, str) else "+".join(map(written, parts))
        super().__init__(**values)
        self._members = read(self.parts)
        for member in self._members:
            if member.task != "ranking" or getattr(member, "ordered", False):
                raise ModelError(f"{self.name}: {member.name} cannot be a member")
            if self.mode != "ensemble" and not hasattr(member, "_log_probability"):
                raise ModelError(
                    f"{self.name}: {member.name} cannot be trained together with others: use "
                    "mode=ensemble, or members such as flvae and nease"
                )

    @classmethod
    def of(cls, *models: Recommender) -> Self:
        """The product of fitted models.

        Raises
        ------
        DataError
            They were fitted on different items, or on the same in another order.
        """
        first = models[0]
        for other in models[1:]:
            if other.items != first.items:
                raise DataError(
                    f"{first.name} knows {first.n_items:,} items and {other.name} "
                    f"{other.n_items:,}, not all the same: fit both on the same training data"
                )
        product = cls(models, mode="ensemble")
        product._members = models
        product.restore_catalogue(
            first.items, first.item_table, first.fingerprint, {}, first.preparation
        )
        return product

    @property
    def members(self) -> tuple[Recommender, ...]:
        """The models that are multiplied."""
        return self._members

    @property
    def _together(self) -> tuple[Any, ...]:
        """The members where they are trained together: deep ones with a `_log_probability`."""
        return self._members

    def _fit_validated(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        if self.mode != "ensemble":
            super()._fit_validated(interactions, validation, run)
        else:
            for at, member in enumerate(self.members):
                folder = None if run.checkpoint is None else run.checkpoint / str(at)
                member.fit(interactions, validation, replace(run, checkpoint=folder))
                self._facts |= {f"{at}.{name}": value for name, value in member.facts.items()}

    def _build(self, n_users: int, n_items: int) -> torch.nn.Module:
        from torch import nn

        for member in self._together:
            member._network = member._build(n_users, n_items)
        return nn.ModuleList(member._network for member in self._together)

    def _start(self, network: Any, interactions: Interactions, run: Run) -> None:
        for member, own in zip(self._together, network, strict=True):
            member._start(own, interactions, run)

    def _phases(self, network: Any) -> list[Phase]:
        from shoal.training.blocks import nadam

        if self.mode == "joint":
            return [nadam(network.parameters(), self.lr, FALLS)]
        return [
            replace(nadam(own.parameters(), self.lr, FALLS), name=str(at))
            for at, own in enumerate(network)
        ]

    def _log_probability(
        self, network: Any, batch: Batch, generator: torch.Generator | None, turn: str = "all"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        log_ps, penalties = [], []
        for at, (member, own) in enumerate(zip(self._together, network, strict=True)):
            with torch.set_grad_enabled(torch.is_grad_enabled() and turn in ("all", str(at))):
                found = member._log_probability(own, batch, generator)
            log_ps.append(found[0])
            penalties.append(found[1])
        return sum(log_ps[1:], log_ps[0]), sum(penalties[1:], penalties[0])

    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        from shoal.training.focal import focal

        given, wanted = batch.halves(generator)
        log_p, penalty = self._log_probability(network, given, generator, clock.phase)
        return (focal(log_p, wanted, self.alpha, self.gamma) + penalty).mean()

    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        return self._log_probability(network, batch, None)[0]

    def _score(self, histories: CSR) -> Float:
        total = np.zeros(histories.shape, np.float32)
        for member in self.members:
            scores = member._score(histories)
            logs = getattr(member, "scores_are_log_probabilities", False)
            total += scores if logs else -np.logaddexp(np.float32(0), -scores)
        return total

    def state(self) -> State:
        """Each member's arrays, under its number."""
        states = [member.state() for member in self.members]
        return {f"{at}.{name}": a for at, state in enumerate(states) for name, a in state.items()}

    def restore(self, state: State) -> None:
        """Give each member its arrays."""
        for at, member in enumerate(self.members):
            own = f"{at}."
            member.restore({n.removeprefix(own): a for n, a in state.items() if n.startswith(own)})

    def take_catalogue(self, interactions: Interactions) -> None:
        """Take over the catalogue, members too."""
        super().take_catalogue(interactions)
        for member in self.members:
            member.take_catalogue(interactions)

    def restore_catalogue(self, *args: Any, **values: Any) -> None:
        """Take back what a model folder keeps beside the arrays, members too."""
        super().restore_catalogue(*args, **values)
        for member in self.members:
            if not member.fitted:
                member.restore_catalogue(*args, **values)

    def until_best(self) -> Self:
        """The same product with the epochs that were best, of each member in an ensemble."""
        if self.mode != "ensemble":
            return super().until_best()
        return type(self)([member.until_best() for member in self.members], **self._others())

    def briefly(self, n_items: int) -> Self:
        """The same product, unfitted, with a single epoch, of each member in an ensemble."""
        if self.mode != "ensemble":
            return super().briefly(n_items)
        return type(self)([member.briefly(n_items) for member in self.members], **self._others())

    def _others(self) -> dict[str, Any]:
        return {n: v for n, v in self.model_dump().items() if n != "parts"}

    def bytes_to_fit(self, size: Size) -> int:
        """Its members' together, or the largest of an ensemble with the others' weights."""
        each = [m.bytes_to_fit(size) for m in self.members]
        return max(each) + sum(each) // 5 if self.mode == "ensemble" else sum(each)

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Its own epochs, or what the members of an ensemble do one after the other."""
        if self.mode != "ensemble":
            return super().work_to_fit(size, n_pairs)
        each = [member.work_to_fit(size, n_pairs) for member in self.members]
        return {kind: sum(w.get(kind, 0) for w in each) for kind in {k for w in each for k in w}}

    def trained_parts(self) -> tuple[Costs, ...]:
        """Itself, or in an ensemble the members that train."""
        if self.mode != "ensemble":
            return super().trained_parts()
        return tuple(part for member in self.members for part in member.trained_parts())

    def bytes_of_model(self, size: Size) -> int:
        """The members' together."""
        return sum(m.bytes_of_model(size) for m in self.members)

    def _n_parameters(self, n_users: int, n_items: int) -> int:
        return sum(member._n_parameters(n_users, n_items) for member in self._together)


def read(text: str) -> tuple[Recommender, ...]:
    """Models of ``name(parameter=value;parameter=value)+name``."""
    from shoal.models.registry import create

    found = []
    for part in re.split(r"\+(?![^(]*\))", text):
        matched = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", part)
        given = (matched[2] or "").split(";") if matched else []
        pairs = [p.partition("=") for p in given if p.strip()]
        if not matched or any(not equals for _, equals, _ in pairs):
            raise ModelError(
                f"member {part!r}: write name or name(parameter=value;parameter=value)"
            )
        found.append(create(matched[1], {n.strip(): value.strip() for n, _, value in pairs}))
    return tuple(found)


def written(model: Recommender) -> str:
    """A model as `read` takes it: its name, and what differs from its defaults."""
    usual = type(model)().model_dump()
    own = [f"{n}={value}" for n, value in model.model_dump().items() if value != usual[n]]
    return f"{model.name}({';'.join(own)})" if own else model.name
