"""The training loop: one function, the same for one process and for many (``torchrun``).

It does not depend on a model. A `Learner` provides parameters, optimisers and losses; the loop
provides batches, random numbers, early stopping, checkpoints and the training log. All random
numbers of an epoch depend only on (seed, epoch), so an epoch that is repeated after a crash gives
the same result.
"""

from __future__ import annotations

import math
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
from shoal.training.divergence import (
    DivergedError,
    all_finite,
    rows_to_check,
    weights_are_finite,
)
from shoal.training.learner import Clock, Learner, Outcome, Phase, TrainingPlan
from shoal.training.part_store import PartStore
from shoal.training.sharded import ItemRows
from shoal.training.world import World

_CHECK_EVERY = 25  # batches between checks of the loss on an accelerator: each one waits


def generator_for(seed: int, *numbers: int, device: torch.device) -> torch.Generator:
    """Make a random generator whose state depends only on the seed and these numbers."""
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
        Its network must be on its device already.
    examples : CSR array (m, n)
        Training data: one row is one example, such as a user.
    plan : TrainingPlan
    judge : callable, optional
        Returns the metric of the network as it is now, NaN if its scores are not finite. Without
        it the last weights are kept.
    run : Run, optional
        Seed, precision, checkpoint folder, training log, progress, and what may end it early.

    Returns
    -------
    Outcome
        The network then has the best weights, or the last ones without `judge`.

    Raises
    ------
    TrainingError
        Training diverged and no epoch left good weights, or the checkpoint is damaged or belongs to
        other hyper-parameters or data. Training that diverges later ends with the best weights so
        far and a TrainingWarning. It has diverged when the loss of a batch or, after an epoch, a
        weight, the metric, or a score of some training rows is NaN or infinite.
    """
    run = run or Run()
    device = next(learner.network.parameters()).device
    world = World.join(device, divided=isinstance(learner.network, ItemRows))
    world.alike(learner.network.parameters())
    store = _store(plan, run, world)
    outcome, kept = Outcome(), _copy(learner.network)
    if store is not None:
        if world.takes_part:
            store.sweep()
        if (saved := store.load(learner, device)) is not None:
            outcome, kept = saved
        _check_same_epoch(run, outcome, world)
    checked = rows_to_check(examples)
    batches = -(-examples.shape[0] // plan.batch_size) * sum(p.passes for p in learner.phases)
    with run.progress.step("training", plan.n_epochs * batches) as step:
        step.advance(outcome.clock.epoch * batches)
        while outcome.clock.epoch < plan.n_epochs and not _out_of_patience(outcome, plan):
            start = time.perf_counter()
            try:
                loss = _epoch(learner, examples, plan, outcome.clock, run, world, step)
                row = _judged(learner, plan, outcome.clock, loss, judge, world)
                row["seconds"] = round(time.perf_counter() - start, 3)
                _check_scores(learner, checked, row["epoch"], world)
            except DivergedError as error:
                _stop(error, outcome, plan)
                break
            outcome.clock.epoch += 1
            better = judge is None or (
                plan.metric in row and (outcome.best is None or row[plan.metric] > outcome.best)
            )
            if better:
                outcome.best, outcome.best_epoch = row.get(plan.metric), outcome.clock.epoch
                _copy_to(kept, learner.network)
            if better or outcome.clock.epoch <= plan.warm_up:
                outcome.stale = 0
            elif plan.metric in row:
                outcome.stale += 1
            outcome.curve.append(row)
            step.note(
                " ".join(f"{n} {v:.4g}" for n, v in row.items() if n in ("loss", plan.metric))
            )
            told = {"model": plan.model} | row if plan.model else row
            if world.first:
                checkpoint.log(run.training_log, told)
            if store is not None and world.from_first(store.is_due) and world.takes_part:
                store.save(learner, outcome, kept)
            if run.each_epoch is not None:
                run.each_epoch(told)
            if plan.metric in row and _ended(run, row["epoch"], row[plan.metric], world):
                break
    learner.network.load_state_dict(kept)
    return outcome


def _store(plan: TrainingPlan, run: Run, world: World) -> checkpoint.Store | PartStore | None:
    """The checkpoint, in one file or in one for each process, if there is to be any."""
    if run.checkpoint is None:
        return None
    if world.divided:
        return PartStore(run.checkpoint, plan.identity, run.checkpoint_pause, world)
    return checkpoint.Store(run.checkpoint, plan.identity, run.checkpoint_pause)


def _check_same_epoch(run: Run, outcome: Outcome, world: World) -> None:
    """Raise an error if the processes found checkpoints of different epochs."""
    first = world.from_first(outcome.clock.epoch)
    if world.total(float(first != outcome.clock.epoch)):
        raise TrainingError(
            f"{run.checkpoint} does not hold the same checkpoint on all machines: name a folder "
            "that all of them see"
        )


def _judged(
    learner: Learner,
    plan: TrainingPlan,
    clock: Clock,
    loss: float,
    judge: Callable[[], float] | None,
    world: World,
) -> dict[str, float]:
    """The row of the learning curve of an epoch that has just been trained.

    Raises
    ------
    DivergedError
        A weight is NaN or so large that its square is infinite, or the metric is not finite.
    """
    epoch = clock.epoch + 1
    if world.total(float(not weights_are_finite(learner.network))):
        raise DivergedError(f"a weight is too large or not a number any more after epoch {epoch}")
    row = {"epoch": epoch, "updates": clock.updates, "loss": loss}
    due = epoch % plan.every == 0 or epoch == plan.n_epochs
    if judge is not None and due:
        row[plan.metric] = world.from_first(judge() if world.takes_part else 0.0)
        if not math.isfinite(row[plan.metric]):
            raise DivergedError(
                f"a score of the validation is not a number any more after epoch {epoch}"
            )
    return row


def _check_scores(learner: Learner, rows: CSR, epoch: float, world: World) -> None:
    """Raise a DivergedError if a score of some training rows is NaN or infinite."""
    failed = world.takes_part and not all_finite(learner.scores(rows))
    if world.total(float(failed)):
        raise DivergedError(f"a score is not a number any more after epoch {epoch}")


def _out_of_patience(outcome: Outcome, plan: TrainingPlan) -> bool:
    return plan.patience > 0 and outcome.stale >= plan.patience


def _ended(run: Run, epoch: float, metric: float, world: World) -> bool:
    """Whether the caller of the fit wants no further epoch; the first process asks."""
    if run.after_epoch is None:
        return False
    return bool(world.from_first(float(world.first and run.after_epoch(int(epoch), metric))))


def _copy(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Copy the weights of a network, by name."""
    return {n: t.detach().clone() for n, t in network.state_dict().items()}


def _copy_to(kept: dict[str, torch.Tensor], network: torch.nn.Module) -> None:
    """Overwrite a copy of the weights, so that there is never a second one in memory."""
    for name, tensor in network.state_dict().items():
        kept[name].copy_(tensor.detach())


def _stop(error: DivergedError, outcome: Outcome, plan: TrainingPlan) -> None:
    """Warn that training ends with the best weights so far, or raise if there are none."""
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
    """Train one epoch, all phases with all their passes, and return the mean loss."""
    device = next(learner.network.parameters()).device
    rng = np.random.default_rng([run.seed, clock.epoch])
    noise = generator_for(run.seed, clock.epoch, world.noise, device=device)
    learner.network.train()
    total, count = 0.0, 0
    for phase in learner.phases:
        clock.phase = phase.name
        _set_rates(phase, clock.epoch)
        if phase.begin is not None:
            phase.begin(clock.epoch)
        for _ in range(phase.passes):
            order = rng.permutation(examples.shape[0])
            unchecked: list[torch.Tensor] = []
            for index, begin in enumerate(range(0, len(order), plan.batch_size)):
                users = order[begin : begin + plan.batch_size]
                loss = _update(learner, phase, examples, users, clock, noise, run, world)
                unchecked.append(loss)
                last = begin + plan.batch_size >= len(order)
                if device.type == "cpu" or len(unchecked) == _CHECK_EVERY or last:
                    values = torch.stack(unchecked).double().cpu().numpy()
                    if world.total(float(not np.isfinite(values).all())):
                        bad = int(np.argmin(np.isfinite(values)))
                        first = index + 2 - len(unchecked) + bad
                        where = f"epoch {clock.epoch + 1}, batch {first}"
                        where += f" of {phase.name}" if phase.name != "all" else ""
                        raise DivergedError(f"the loss is not a number any more at {where}")
                    total, count = total + float(values.sum()), count + len(values)
                    unchecked = []
                step.advance()
    return world.loss(total) / count


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
    """Update the parameters for each loss of a batch.

    Returns this process's part of the first loss.
    """
    parameters = phase.parameters
    device = parameters[0].device
    rows, part = world.share(len(users))
    batch = Batch.of(examples, users[rows], device)
    mixed = run.mixed_precision(device.type)
    losses = learner.losses(batch, clock, noise)
    first_loss = None
    while True:
        # only forward passes run in mixed precision; one context per step, as weights change
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            loss = next(losses, None)
        if loss is None:
            break
        share = loss.float() * part
        phase.optimiser.zero_grad(set_to_none=True)
        share.backward()
        world.add_up(parameters)
        phase.optimiser.step()
        first_loss = share.detach() if first_loss is None else first_loss
        clock.updates += 1
    clock.rows += len(users)
    assert first_loss is not None
    return first_loss
