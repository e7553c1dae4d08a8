"""The training loop: one function, the same for one process and for many (``torchrun``).

It knows no model. A `Learner` brings its parameters, its optimisers and its losses; the loop brings
batches, randomness, early stopping, checkpoints and the log. All randomness of an epoch comes from
(seed, epoch), so an epoch begun again, after a kill too, is the same epoch.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
import torch

from shoal.data.interactions import CSR
from shoal.errors import TrainingError, TrainingWarning
from shoal.run import Run, Step
from shoal.training import checkpoint
from shoal.training.batches import Batch
from shoal.training.learner import Clock, Learner, Outcome, Phase, TrainingPlan
from shoal.training.world import World

_CHECK_EVERY = 25  # batches between looks at the loss on an accelerator, where looking waits


def generator_for(seed: int, *numbers: int, device: torch.device) -> torch.Generator:
    """A generator that depends on nothing but these numbers."""
    state = np.random.SeedSequence([seed, *numbers]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state) >> 1)


def train(
    learner: Learner,
    examples: CSR,
    plan: TrainingPlan,
    judge: Callable[[], float] | None = None,
    run: Run | None = None,
) -> Outcome:
    """Train a network in place.

    Parameters
    ----------
    learner : Learner
        Its network is on the device already.
    examples : CSR array (m, n)
        One row is one example.
    plan : TrainingPlan
    judge : callable, optional
        The metric of the network as it is now. Without it the last epoch's weights are kept.
    run : Run, optional
        Seed, precision, checkpoint folder, log file, progress.

    Returns
    -------
    Outcome
        The network has the best weights, or the last ones without `judge`.

    Raises
    ------
    TrainingError
        The loss was no number before there were weights worth keeping; or the checkpoint belongs to
        other hyper-parameters or data. Where there are good weights, they are kept, and a
        TrainingWarning says so.
    """
    run = run or Run()
    device = next(learner.network.parameters()).device
    world = World.join(device)
    world.alike(learner.network.parameters())
    store = checkpoint.Store(run.checkpoint, plan.identity) if run.checkpoint else None
    outcome, kept = Outcome(), _copy(learner.network)
    if store is not None and (found := store.load(learner, device)) is not None:
        outcome, kept = found
    batches = -(-examples.shape[0] // plan.batch_size) * sum(p.passes for p in learner.phases)
    with run.progress.step("training", plan.n_epochs * batches) as step:
        step.advance(outcome.clock.epoch * batches)
        while outcome.clock.epoch < plan.n_epochs and not _out_of_patience(outcome, plan):
            began = time.perf_counter()
            try:
                loss = _epoch(learner, examples, plan, outcome.clock, run, world, step)
            except _NotFiniteError as error:
                _stop(error, outcome, plan)
                break
            outcome.clock.epoch += 1
            row = {"epoch": outcome.clock.epoch, "updates": outcome.clock.updates, "loss": loss}
            due = outcome.clock.epoch % plan.every == 0 or outcome.clock.epoch == plan.n_epochs
            if judge is not None and due:
                row[plan.metric] = world.from_first(judge() if world.first else 0.0)
            better = judge is None or (
                plan.metric in row and (outcome.best is None or row[plan.metric] > outcome.best)
            )
            if better:
                outcome.best, outcome.best_epoch = row.get(plan.metric), outcome.clock.epoch
                kept = _copy(learner.network)
            if better or outcome.clock.epoch <= plan.warm_up:
                outcome.stale = 0
            elif plan.metric in row:
                outcome.stale += 1
            row["seconds"] = round(time.perf_counter() - began, 3)
            outcome.curve.append(row)
            step.note(
                " ".join(f"{n} {v:.4g}" for n, v in row.items() if n in ("loss", plan.metric))
            )
            if world.first:
                checkpoint.log(run.training_log, row)
                if store is not None:
                    store.save(learner, outcome, kept)
    learner.network.load_state_dict(kept)
    return outcome


def _out_of_patience(outcome: Outcome, plan: TrainingPlan) -> bool:
    return plan.patience > 0 and outcome.stale >= plan.patience


def _copy(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {n: t.detach().clone() for n, t in network.state_dict().items()}


class _NotFiniteError(ArithmeticError):
    """The loss is no number; at which batch (from 1 on) of which epoch."""

    def __init__(self, epoch: int, batch: int, phase: str) -> None:
        where = f"epoch {epoch + 1}, batch {batch}" + (f" of {phase}" if phase != "all" else "")
        super().__init__(f"the loss is not a number any more at {where}")


def _stop(error: _NotFiniteError, outcome: Outcome, plan: TrainingPlan) -> None:
    """Go on with the weights that were good, or say that there are none."""
    advice = "a lower lr, a larger batch_size, or float32 (--precision float32) may help"
    if outcome.best_epoch == 0:
        raise TrainingError(f"{error}: {advice}") from None
    what = "" if outcome.best is None else f" ({plan.metric} {outcome.best:.4f})"
    warnings.warn(
        f"{error}: kept the weights of epoch {outcome.best_epoch}{what}; {advice}",
        TrainingWarning,
        stacklevel=4,
    )


def _epoch(
    learner: Learner,
    examples: CSR,
    plan: TrainingPlan,
    clock: Clock,
    run: Run,
    world: World,
    step: Step,
) -> float:
    """One epoch: every phase, with as many passes as it asks for. The mean loss."""
    device = next(learner.network.parameters()).device
    numbers = np.random.default_rng([run.seed, clock.epoch])
    noise = generator_for(run.seed, clock.epoch, world.rank, device=device)
    learner.network.train()
    total, count = 0.0, 0
    for phase in learner.phases:
        clock.phase = phase.name
        _set_rates(phase, clock.epoch)
        if phase.begin is not None:
            phase.begin(clock.epoch)
        for _ in range(phase.passes):
            order = numbers.permutation(examples.shape[0])
            unseen: list[torch.Tensor] = []
            for at, begin in enumerate(range(0, len(order), plan.batch_size)):
                users = order[begin : begin + plan.batch_size]
                loss = _update(learner, phase, examples, users, clock, noise, run, world)
                unseen.append(loss)
                last = begin + plan.batch_size >= len(order)
                if device.type == "cpu" or len(unseen) == _CHECK_EVERY or last:
                    values = torch.stack(unseen).double().cpu().numpy()
                    if world.total(float(not np.isfinite(values).all())):
                        bad = int(np.argmin(np.isfinite(values)))
                        first = at + 2 - len(unseen) + bad
                        raise _NotFiniteError(clock.epoch, first, phase.name)
                    total, count = total + float(values.sum()), count + len(values)
                    unseen = []
                step.advance()
    return world.total(total) / count  # every process has its part of each batch's mean


def _set_rates(phase: Phase, epoch: int) -> None:
    for group in phase.optimiser.param_groups:
        group.setdefault("initial_lr", group["lr"])
        factor = 1.0 if phase.schedule is None else phase.schedule(epoch)
        group["lr"] = group["initial_lr"] * factor


def _update(
    learner: Learner,
    phase: Phase,
    examples: CSR,
    users: np.ndarray,
    clock: Clock,
    noise: torch.Generator,
    run: Run,
    world: World,
) -> torch.Tensor:
    """One batch: an optimiser step for each of its losses. This process's part of the first."""
    parameters = phase.parameters
    device = parameters[0].device
    mine = users[world.share(len(users))] if len(users) >= world.size else users
    part = len(mine) / len(users) if len(users) >= world.size else 1 / world.size
    batch = Batch.of(examples, mine, device)
    mixed = run.mixed_precision(device.type)
    losses = learner.losses(batch, clock, noise)
    shown = None
    while True:
        # only the forward pass is mixed, and each step's on its own: weights change in between
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            loss = next(losses, None)
        if loss is None:
            break
        share = loss.float() * part
        phase.optimiser.zero_grad(set_to_none=True)
        share.backward()
        world.add_up(parameters)
        phase.optimiser.step()
        shown = share.detach() if shown is None else shown
        clock.updates += 1
    clock.rows += len(users)
    assert shown is not None
    return shown
