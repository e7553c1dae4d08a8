"""What deep models share: from the log to a trained network, and from histories to scores.

A model writes its network, its loss and its scores; training is `shoal.training`. torch is imported
inside of functions, so that models can be listed and described without it.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import PrivateAttr

from shoal import metrics
from shoal.base.hyper import hyper
from shoal.base.recommender import Recommender, Validation
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.errors import DataError, MissingExtraError, NotFittedError
from shoal.kernels import topk
from shoal.kernels.arrays import Float, State
from shoal.run import DEVICE, Run

if TYPE_CHECKING:
    import torch
    from torch import nn

    from shoal.training.batches import Batch
    from shoal.training.learner import Clock, Outcome, Phase

_ROWS = 1024  # histories that the network sees at a time
MOST_SCORES = 2**24  # that it gives at a time: fewer histories of large catalogues


@dataclass
class _Learner:
    """A model's parts, as the loop wants them."""

    model: DeepRecommender
    network: nn.Module
    phases: list[Phase]

    def losses(
        self, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        return self.model._losses(self.network, batch, clock, generator)


class DeepRecommender(Recommender):
    """Base of models that are trained by gradient steps."""

    metric: ClassVar[str] = "ndcg@100"  # on validation users; decides which epoch is kept
    trained: ClassVar[bool] = True
    scores_are_log_probabilities: ClassVar[bool] = (
        False  # whether scores are logarithms of probabilities
    )
    dense_rows: ClassVar[int] = 6  # numbers that training keeps for a user and an item of a batch
    weight_bytes: ClassVar[int] = 20  # for each weight: gradient, two moments, the best so far
    training_only: ClassVar[tuple[str, ...]] = ()  # tensors of training only, by how names begin

    n_epochs: int = hyper(100, "passes over the data, at most", ge=1)
    batch_size: int = hyper(500, "users in a batch, over all processes", ge=1)
    lr: float = hyper(1e-3, "learning rate", gt=0, search=(1e-4, 1e-2), scale="log")
    patience: int = hyper(20, "epochs without a better validation before stopping; 0: never", ge=0)
    device: str | None = hyper(
        None, "where to train (cpu, cuda, …); none: the run's", pattern=DEVICE
    )

    _network: Any = PrivateAttr(None)
    _outcome: Any = PrivateAttr(None)

    # -- what a model writes ---------------------------------------------------------------

    @abstractmethod
    def _build(self, n_users: int, n_items: int) -> nn.Module:
        """Make the network, its parameters initialised; torch's generator is seeded."""

    @abstractmethod
    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        """Mean loss over the rows of a batch."""

    @abstractmethod
    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        """Score all items, (B, n_items), without randomness."""

    @abstractmethod
    def _n_parameters(self, n_users: int, n_items: int) -> int:
        """How many numbers are learned."""

    def _losses(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        """One loss for each optimiser step on a batch; one, unless overridden."""
        yield self._loss(network, batch, clock, generator)

    @property
    def _patience(self) -> int:
        """Judgements without a new best before training stops; 0 never stops early."""
        return self.patience

    @property
    def _warm_up(self) -> int:
        """Epochs after which patience begins to count."""
        return 0

    def _start(self, network: Any, interactions: Interactions, run: Run) -> None:
        """Give the network its first weights from the data; a model may override this."""

    def _phases(self, network: nn.Module) -> list[Phase]:
        """Turns of training and their optimisers; Adam over everything, unless overridden."""
        return [self._phase(network.parameters())]

    def _rows_at_once(self, n_rows: int) -> int:
        """Size of a batch, for so many training rows."""
        return self.batch_size

    def _rows_and_columns(self, n_users: int, n_items: int) -> tuple[int, int]:
        """The shape of what is learned from, of these counts."""
        return n_users, n_items

    def _examples(self, interactions: Interactions) -> CSR:
        """The rows that are learned from."""
        if interactions.values is not None and (interactions.values != 1).any():
            raise DataError(
                f"{self.name} learns from what was touched, and these data hold values: read the "
                "log with a threshold (--min-value 4), or with --values binary"
            )
        return self.histories(interactions)

    # -- what is done with it --------------------------------------------------------------

    def model_post_init(self, context: Any, /) -> None:
        """Load torch as soon as a model that needs it is there, if it is installed.

        Loaded after numba's pool of threads, which reading a log or fitting a linear model starts,
        its matrix products took three times as long.
        """
        super().model_post_init(context)
        with suppress(ImportError):
            import torch  # noqa: F401

    def _phase(self, parameters: Any, name: str = "all", passes: int = 1) -> Phase:
        """Adam with the model's `lr`."""
        import torch

        from shoal.training.learner import Phase

        own = list(parameters)
        fused = {"fused": True} if own[0].device.type in ("cpu", "cuda") else {}
        return Phase(torch.optim.Adam(own, self.lr, **fused), name, passes)

    def check_can_fit(self, interactions: Interactions, run: Run) -> None:
        """Refuse what the contract refuses, and an installation without torch."""
        torch_or_advice(self.name)
        super().check_can_fit(interactions, run)

    def _fit(self, interactions: Interactions, run: Run) -> None:
        self._fit_validated(interactions, None, run)

    def _fit_validated(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        torch = torch_or_advice(self.name)
        from shoal.training.learner import TrainingPlan
        from shoal.training.loop import train

        if self.device is not None:
            run = replace(run, device=self.device)
        device = torch.device(run.torch_device or "cpu")
        examples = self._examples(interactions)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            network = self._build(interactions.n_users, interactions.n_items)
            self._start(network, interactions, run)
        network = network.to(device)
        self._network = network
        identity: dict[str, Any] = {}
        if run.checkpoint is not None:  # the fingerprint reads all data
            identity = {
                "model": self.name,
                "parameters": self.model_dump(mode="json", exclude={"device"}),
                "data": interactions.fingerprint(),
                "seed": run.seed,
            }
            if self.ordered:
                identity["order"] = hashlib.sha256(examples.data.tobytes()).hexdigest()
        plan = TrainingPlan(
            self.n_epochs,
            self._rows_at_once(examples.shape[0]),
            self.metric,
            patience=self._patience,
            warm_up=self._warm_up,
            identity=identity,
        )
        judge = self._judge(validation) if validation is not None else None
        learner = _Learner(self, network, self._phases(network))
        self._outcome = train(learner, examples, plan, judge, run)
        self._facts = self._found(self._outcome)

    def _found(self, outcome: Outcome) -> dict[str, float]:
        facts: dict[str, float] = {
            "epochs": len(outcome.curve),
            "best_epoch": outcome.best_epoch,
            "loss": outcome.curve[-1]["loss"] if outcome.curve else 0.0,
        }
        return (
            facts if outcome.best is None else facts | {f"validation_{self.metric}": outcome.best}
        )

    def until_best(self) -> Self:
        """The same model, unfitted, with the number of epochs that was best."""
        found = {"n_epochs": int(self.facts["best_epoch"]), "patience": 0}
        return type(self)(**self.model_dump(exclude_unset=True) | found)

    def briefly(self, n_items: int) -> Self:
        """The same model, unfitted, with a single epoch."""
        settings = super().briefly(n_items).model_dump(exclude_unset=True)
        return type(self)(**settings | {"n_epochs": 1, "patience": 0})

    @property
    def curve(self) -> list[dict[str, float]]:
        """The learning curve of the fit: one entry for each epoch."""
        return [] if self._outcome is None else list(self._outcome.curve)

    def _judge(self, validation: Any) -> Any:
        """A function that gives the metric of the network as it is, on validation users."""
        wanted = metrics.parse(self.metric)
        rows, target = self.histories(validation.history), validation.target
        k = min(wanted.k, rows.shape[1])
        counts = np.diff(target.indptr)
        allowed = np.ones(rows.shape[1], np.bool_)
        if validation.candidates is not None:
            allowed = validation.candidates
        at_once = scored_at_once(rows.shape[1])

        def judge() -> float:
            found = []
            for begin in range(0, rows.shape[0], at_once):
                block = rows[begin : begin + at_once]
                seen = block.indptr.astype(np.int64), block.indices.astype(np.int32)
                items, _ = topk.best(self._score(block), k, *seen, allowed)
                extents = target.indptr[begin : begin + block.shape[0] + 1]
                found.append(topk.hits(items, extents, target.indices, rows.shape[1]))
            there = counts > 0
            values = metrics.ACCURACY[wanted.base](np.concatenate(found)[there], counts[there], k)
            return float(values.mean())

        return judge

    def _score(self, histories: CSR) -> Float:
        if self._network is None:
            raise NotFittedError(f"{self.name} has not been fitted: call fit(interactions) first")
        import torch

        from shoal.training.batches import Batch

        network = self._network
        device = next(network.parameters()).device
        network.eval()
        out = np.empty(histories.shape, np.float32)
        at_once = scored_at_once(histories.shape[1])
        with torch.inference_mode():
            for begin in range(0, histories.shape[0], at_once):
                block = histories[begin : begin + at_once]
                batch = Batch.of(block, None, device)
                out[begin : begin + block.shape[0]] = self._scores(network, batch).float().cpu()
        return out

    def state(self) -> State:
        """The network's tensors by name, less those that are for training only."""
        tensors = self._network.state_dict() if self._network is not None else {}
        arrays = {
            n: t.cpu().numpy() for n, t in tensors.items() if not n.startswith(self.training_only)
        }
        return arrays | {"n_items": np.array([self.n_items], np.int64)}

    def restore(self, state: State) -> None:
        """Build the network again, and fill it."""
        torch = torch_or_advice(self.name)
        network = self._build(0, int(state["n_items"][0]))
        tensors = {n: torch.from_numpy(a.copy()) for n, a in state.items() if n != "n_items"}
        network.load_state_dict(tensors, strict=False)
        self._network = network

    def bytes_to_fit(self, size: Size) -> int:
        """What is kept for each weight and each score of a batch, and the data's entries."""
        batch = 4 * self.dense_rows * min(self.batch_size, max(size.n_users, 1)) * size.n_items
        weights = self.weight_bytes * self._n_parameters(size.n_users, size.n_items)
        return weights + batch + 8 * size.n_interactions

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """All epochs; stopping early makes fewer."""
        return {"epoch": self.n_epochs}

    def bytes_of_model(self, size: Size) -> int:
        """The network's tensors, less those that are for training only."""
        return 4 * sum(t.numel() for t in self._outline(size.n_items).values())

    def _outline(self, n_items: int) -> dict[str, Any]:
        """Tensors that `state` keeps, without their memory."""
        torch = torch_or_advice(self.name)
        with torch.device("meta"):
            network = type(self)(**self.model_dump())._build(1, n_items)
        tensors: dict[str, Any] = network.state_dict()
        return {n: t for n, t in tensors.items() if not n.startswith(self.training_only)}


def scored_at_once(n_items: int) -> int:
    """Histories that are scored at a time."""
    return min(_ROWS, max(1, MOST_SCORES // n_items))


def torch_or_advice(name: str) -> Any:
    """torch, or an error that says how to get it.

    Raises
    ------
    MissingExtraError
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError(f"{name} needs torch: pip install 'shoal[deep]'") from None
    return torch
