"""The base class of deep models: it trains a network on a log, and scores histories with it.

A model defines its network, its loss and its scores; the training loop is in `shoal.training`.
torch is imported inside functions, so that models can be listed and described without it.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import PrivateAttr

from shoal import metrics
from shoal.base.costs import left_in_heap
from shoal.base.declared import ArraySpec, Spec
from shoal.base.hyper import hyper
from shoal.base.recommender import Recommender, Validation
from shoal.base.torch_threads import prepare_torch
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

ROWS_AT_ONCE = 1024  # most rows that the network reads at a time outside training
MOST_SCORES = 2**24  # most scores that it computes at a time, so fewer rows for many items


@dataclass
class _Learner:
    """Network, phases, losses and scores of a model, in the form that the training loop takes."""

    model: DeepRecommender
    network: nn.Module
    phases: list[Phase]

    def losses(
        self, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        return self.model._losses(self.network, batch, clock, generator)

    def scores(self, rows: CSR) -> Float:
        return self.model._network_scores(rows)


class DeepRecommender(Recommender):
    """Base class of models that are trained by gradient steps."""

    # the metric on validation users that decides which epoch's weights are kept
    metric: ClassVar[str] = "ndcg@100"
    trained: ClassVar[bool] = True
    deep: ClassVar[bool] = True  # models that are trained, but linear, set it to False
    scores_are_log_probabilities: ClassVar[bool] = False
    # for the memory of a fit: dense matrices of the shape (batch, n_items) that training holds
    dense_rows: ClassVar[int] = 6
    # the same: bytes per weight, for it, its gradient, two moments and its best value so far
    weight_bytes: ClassVar[int] = 20
    # prefixes of the names of tensors that are needed in training only
    training_only: ClassVar[tuple[str, ...]] = ()

    n_epochs: int = hyper(100, "passes over the data, at most", ge=1)
    batch_size: int = hyper(500, "users in a batch, over all processes", ge=1)
    lr: float = hyper(1e-3, "learning rate", gt=0, search=(1e-4, 1e-2), scale="log")
    patience: int = hyper(20, "epochs without a better validation before stopping; 0: never", ge=0)
    device: str | None = hyper(
        None, "where to train (cpu, cuda, …); none: the run's", pattern=DEVICE
    )

    _network: Any = PrivateAttr(None)
    _outcome: Any = PrivateAttr(None)

    # -- methods that a model defines ------------------------------------------------------

    @abstractmethod
    def _build(self, n_users: int, n_items: int) -> nn.Module:
        """Make the network with initial weights; torch's random generator has been seeded."""

    @abstractmethod
    def _loss(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> torch.Tensor:
        """Mean loss over the rows of a batch, a tensor with one number."""

    @abstractmethod
    def _scores(self, network: Any, batch: Batch) -> torch.Tensor:
        """Scores of all items for the rows of a batch, (B, n_items), without randomness."""

    @abstractmethod
    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes."""

    def _losses(
        self, network: Any, batch: Batch, clock: Clock, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        """Yield a loss for each optimiser step on a batch; a single one, unless overridden."""
        yield self._loss(network, batch, clock, generator)

    @property
    def _patience(self) -> int:
        """Validations without a new best before training stops; 0 never stops early."""
        return self.patience

    @property
    def _warm_up(self) -> int:
        """Number of epochs after which patience begins to count."""
        return 0

    def _start(self, network: Any, interactions: Interactions, run: Run) -> None:
        """Compute initial weights from the data; does nothing, unless overridden."""

    def _phases(self, network: nn.Module) -> list[Phase]:
        """The phases of an epoch and their optimisers: one with Adam, unless overridden."""
        return [self._phase(network.parameters())]

    def rows_per_batch(self, n_rows: int) -> int:
        """Number of rows in a batch, for a training matrix with `n_rows` rows."""
        return self.batch_size

    def rows_and_columns(self, n_users: int, n_items: int) -> tuple[int, int]:
        """Shape of the training matrix for a log with these counts."""
        return n_users, n_items

    def _examples(self, interactions: Interactions) -> CSR:
        """The training matrix: one row per example, (n_users, n_items) unless overridden."""
        if interactions.values is not None and (interactions.values != 1).any():
            raise DataError(
                f"{self.name} learns from what was touched, and these data hold values: read the "
                "log with a threshold (--min-value 4), or with --values binary"
            )
        return self.histories(interactions)

    def _network_scores(self, rows: CSR) -> Float:
        """Scores of rows of the training matrix by the network as it is, as training checks them.

        A model whose `_score` hides infinite numbers, or does not take these rows, overrides it.
        """
        return self._score(rows)

    # -- fitting and scoring ---------------------------------------------------------------

    def model_post_init(self, context: Any, /) -> None:
        """Load the threads of torch when a model that needs it is made, if it is installed.

        Reading a log or fitting a linear model starts numba's threads. If torch then found none of
        its own, the two shared them, and matrix products took two to three times as long. torch
        itself (190 MB) is loaded by a fit, after the memory is checked, or by `restore`.
        """
        super().model_post_init(context)
        prepare_torch()

    def _phase(self, parameters: Any, name: str = "all", passes: int = 1) -> Phase:
        """A phase that trains these parameters by Adam, with the learning rate `lr`."""
        import torch

        from shoal.training.learner import Phase

        tensors = list(parameters)
        fused = {"fused": True} if tensors[0].device.type in ("cpu", "cuda") else {}
        return Phase(torch.optim.Adam(tensors, self.lr, **fused), name, passes)

    def check_can_fit(self, interactions: Interactions, run: Run) -> None:
        """Raise the errors of the base class, and one if torch is not installed."""
        super().check_can_fit(interactions, run)
        torch_or_advice(self.name)

    def _fit(self, interactions: Interactions, run: Run) -> None:
        self._fit_validated(interactions, None, run)

    def _fit_validated(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        torch = torch_or_advice(self.name)
        from shoal.training.learner import TrainingPlan
        from shoal.training.loop import train
        from shoal.training.world import use_own_gpu

        if self.device is not None:
            run = replace(run, device=self.device)
        device = torch.device(run.torch_device or "cpu")
        use_own_gpu(device)
        examples = self._examples(interactions)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            network = self._build(interactions.n_users, interactions.n_items)
            self._start(network, interactions, run)
        network = network.to(device)
        self._network = network
        identity: dict[str, Any] = {}
        if run.checkpoint is not None:  # only then, since a fingerprint reads all data
            identity = self._identity(interactions, examples, run)
        plan = TrainingPlan(
            self.n_epochs,
            self.rows_per_batch(examples.shape[0]),
            self.metric,
            patience=self._patience,
            warm_up=self._warm_up,
            identity=identity,
            model=self.name,
        )
        judge = self._validation_metric(validation) if validation is not None else None
        learner = _Learner(self, network, self._phases(network))
        self._outcome = train(learner, examples, plan, judge, run)
        self._facts = self._facts_of(self._outcome)

    def _identity(self, interactions: Interactions, examples: CSR, run: Run) -> dict[str, Any]:
        """Everything that a checkpoint must agree with for a fit to continue it."""
        identity: dict[str, Any] = {
            "model": self.name,
            "parameters": self.model_dump(mode="json", exclude={"device"}),
            "data": interactions.fingerprint(),
            "seed": run.seed,
        }
        if self.ordered:
            identity["order"] = hashlib.sha256(examples.data.tobytes()).hexdigest()
        return identity

    def _facts_of(self, outcome: Outcome) -> dict[str, float]:
        """Numbers about a training for the user, by name."""
        facts: dict[str, float] = {
            "epochs": len(outcome.curve),
            "best_epoch": outcome.best_epoch,
            "loss": outcome.curve[-1]["loss"] if outcome.curve else 0.0,
        }
        if outcome.best is not None:
            facts[f"validation_{self.metric}"] = outcome.best
        return facts

    def until_best(self) -> Self:
        """The same model, unfitted, with the number of epochs that was best in its fit."""
        epochs = {"n_epochs": int(self.facts["best_epoch"]), "patience": 0}
        return type(self)(**self.model_dump(exclude_unset=True) | epochs)

    def briefly(self, n_items: int) -> Self:
        """The same model, unfitted, for a quick fit of one epoch to a log of few items."""
        settings = super().briefly(n_items).model_dump(exclude_unset=True)
        return type(self)(**settings | {"n_epochs": 1, "patience": 0})

    @property
    def curve(self) -> list[dict[str, float]]:
        """The learning curve of the fit: a dictionary of numbers for each epoch."""
        return [] if self._outcome is None else list(self._outcome.curve)

    def _validation_metric(self, validation: Any) -> Any:
        """A function without arguments that computes the metric of the network as it is then.

        The metric is NaN if a score is NaN or infinite.
        """
        from shoal.training.sharded import best_items

        metric = metrics.parse(self.metric)
        rows, target = self.histories(validation.history), validation.target
        k = min(metric.k, rows.shape[1])
        counts = np.diff(target.indptr)
        allowed = validation.train_counts > 0  # as in evaluation: others cannot be found
        if validation.candidates is not None:
            allowed &= validation.candidates
        at_once = scored_at_once(rows.shape[1])

        def judge() -> float:
            hits = []
            for begin in range(0, rows.shape[0], at_once):
                block = rows[begin : begin + at_once]
                items = best_items(self._network, self._score(block), k, block, allowed)
                if items is None:
                    return float("nan")
                extents = target.indptr[begin : begin + block.shape[0] + 1]
                hits.append(topk.hits(items, extents, target.indices, rows.shape[1]))
            some = counts > 0  # users with held-out items
            values = metrics.ACCURACY[metric.base](np.concatenate(hits)[some], counts[some], k)
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
        columns = network.rows.count if hasattr(network, "rows") else histories.shape[1]
        scores = np.empty((histories.shape[0], columns), np.float32)
        at_once = scored_at_once(histories.shape[1])
        with torch.inference_mode():
            for begin in range(0, histories.shape[0], at_once):
                block = histories[begin : begin + at_once]
                batch = Batch.of(block, None, device)
                rows = slice(begin, begin + block.shape[0])
                scores[rows] = self._scores(network, batch).float().cpu()
        return scores

    def state(self) -> State:
        """The network's tensors by name, without those that only training needs."""
        tensors = self._network.state_dict() if self._network is not None else {}
        arrays = {
            n: t.cpu().numpy() for n, t in tensors.items() if not n.startswith(self.training_only)
        }
        return arrays | {"n_items": np.array([self.n_items], np.int64)}

    def restore(self, state: State) -> None:
        """Build the network around the tensors that `state` returned."""
        tensors = {n: a for n, a in state.items() if n != "n_items"}
        self._network = self._restored(tensors, int(state["n_items"][0]))

    def _restored(self, arrays: State, n_items: int) -> nn.Module:
        """A network that holds these arrays; raises a ModelError if they are not all of it."""
        from shoal.training.outline import network_of

        return network_of(self.name, lambda: self._build(0, n_items), arrays, self.training_only)

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """The tensors of the network, the number of items, and `state_arrays`."""
        tensors = (
            ArraySpec(name, tuple(t.shape), str(t.dtype).removeprefix("torch."))
            for name, t in self._outline(n_items).items()
        )
        return (*tensors, ArraySpec("n_items", (1,), "int64", size="n_items"), *self.state_arrays)

    def bytes_to_fit(self, size: Size) -> int:
        """Memory of the weights, of the dense matrices of a batch or of scores, and of X."""
        batch = 4 * self.dense_rows * min(self.batch_size, max(size.n_users, 1)) * size.n_items
        batch = max(batch, self._bytes_of_scores(size))
        n_parameters = self.n_parameters(size.n_users, size.n_items)
        reused = left_in_heap(batch + 4 * n_parameters)  # what each step makes anew
        return self.weight_bytes * n_parameters + batch + reused + 8 * size.n_interactions

    def _bytes_of_scores(self, size: Size) -> int:
        """Memory of the scores of validation users, as many as are computed at a time."""
        return 8 * size.n_items * scored_at_once(size.n_items)

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """All epochs, although stopping early makes fewer."""
        return {"epoch": self.n_epochs}

    def bytes_of_model(self, size: Size) -> int:
        """Size of the network's tensors, without those that only training needs."""
        return 4 * sum(t.numel() for t in self._outline(size.n_items).values())

    def _outline(self, n_items: int) -> dict[str, Any]:
        """The network's tensors that `state` saves, by name: shapes only, without memory."""
        torch_or_advice(self.name)
        from shoal.training.outline import outline

        network = outline(lambda: type(self)(**self.model_dump())._build(1, n_items))
        tensors: dict[str, Any] = network.state_dict()
        return {n: t for n, t in tensors.items() if not n.startswith(self.training_only)}


def scored_at_once(n_items: int) -> int:
    """Number of histories that a network scores at a time in a catalogue of `n_items`."""
    return min(ROWS_AT_ONCE, max(1, MOST_SCORES // n_items))


def torch_or_advice(name: str) -> Any:
    """Import torch.

    Parameters
    ----------
    name : str
        Model name, for the error message.

    Returns
    -------
    module

    Raises
    ------
    MissingExtraError
        torch is not installed; the message says how to install it.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError(f"{name} needs torch: pip install 'shoal[deep]'") from None
    return torch
