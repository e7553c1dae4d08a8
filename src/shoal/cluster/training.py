"""Deep models on a Ray cluster: the training loop in one process on each machine, by Ray Train.

The processes are those that ``torchrun`` would start: the same loop with the same numbers. Where
one of them is lost, all begin again from the checkpoint of the last epoch, so the fitted model has
the bits of a training in which none was lost. What the first process has to say (progress, rows of
the learning curve, a question of `Run.after_epoch`, an error) it puts into a queue that the driver
reads.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from shoal.base.deep import DeepRecommender
from shoal.base.recommender import Recommender
from shoal.cluster.learned import take_over
from shoal.cluster.sharded import ShardedLog
from shoal.data.interactions import Interactions
from shoal.errors import ShoalError, TrainingError, TrainingWarning
from shoal.executor import Executor, Needs
from shoal.run import Run, Silent, Step

RESTARTS = 100  # of the processes, by Ray Train
BEGINNINGS = 5  # with no epoch in between, until the cluster is given up
_SETTINGS = {  # of Ray Train, which has no other place for them
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # an epoch takes at least so long
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # there is a checkpoint of each epoch anyway
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


def fit(
    executor: Executor, model: DeepRecommender, log: Any, validation: Any, run: Run
) -> Recommender:
    """Train a model in a process on each machine, or on each GPU where the run is to use GPUs.

    Parameters
    ----------
    executor : RayExecutor
    model : DeepRecommender
        Unfitted; it is fitted afterwards.
    log : Interactions or ShardedLog
    validation : HeldOut, Interactions or None
    run : Run
        Its checkpoint folder has to be one that all machines see. Without one, a training goes on
        after a lost process only if all machines of the cluster are one; otherwise it begins again.

    Returns
    -------
    Recommender
        `model` itself.

    Raises
    ------
    TrainingError
        Training diverged, or processes were lost again and again.
    ShoalError
        What the fit raises in one process.
    """
    with tempfile.TemporaryDirectory(prefix="training-", dir=_session_folder()) as folder:
        there = _run_there(run, folder)
        if isinstance(log, ShardedLog):  # put together once for all processes of a machine
            whole = executor.submit(_whole, log, executor, needs=Needs(largest=True))
        else:
            whole = executor.put(log)
        parts = [whole, *(executor.put(part) for part in (model, validation, there))]
        driver = _Driver(model.name, run)
        learned = driver.train(parts, folder, model.device or run.device)
    state, facts, outcome, told = learned
    for message in told:
        warnings.warn(message, TrainingWarning, stacklevel=2)
    take_over(model, (state, facts), log)
    model._outcome = outcome
    return model


def _whole(log: ShardedLog, executor: Executor) -> Interactions:
    return log.whole(executor)


def _run_there(run: Run, folder: str) -> Run:
    """What a process on a machine of the cluster needs of a run; the driver does the rest."""
    checkpoint = run.checkpoint
    if checkpoint is None and _machines() == 1:
        checkpoint = Path(folder, "checkpoint")
    device = "cuda" if run.device.startswith("cuda") else run.device  # which one, Ray says
    return replace(
        run,
        checkpoint=checkpoint,
        device=device,
        executor=None,
        first_only=True,
        progress=Silent(),
        training_log=None,
        after_epoch=None if run.after_epoch is None else _never,
    )


def _never(epoch: int, metric: float) -> bool:
    """Stands for a question that the driver answers."""
    raise AssertionError("each process asks the driver")


def _session_folder() -> str | None:
    """Where this machine's Ray keeps its files: they go with it, also if this process is killed."""
    import ray

    node = ray._private.worker._global_node
    return None if node is None else str(node.get_session_dir_path())


def _machines() -> int:
    """Number of machines, of which one may have several nodes of Ray."""
    import ray

    return len({node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]})


def _scaling(device: str) -> dict[str, Any]:
    """How many processes, and what each has: a machine, or a GPU and its share of the cores."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    if gpus and (device == "auto" or device.startswith("cuda")):
        cores = min(node.get("CPU", 1) // node["GPU"] for node in nodes if node.get("GPU", 0) >= 1)
        resources = {"CPU": max(1, int(cores)), "GPU": 1}
        return {"num_workers": gpus, "use_gpu": True, "resources_per_worker": resources}
    cores = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1]
    if not cores:
        raise TrainingError("no machine of the cluster has a core for tasks")
    return {
        "num_workers": len(cores),
        "resources_per_worker": {"CPU": min(cores)},
        "placement_strategy": "SPREAD",
    }


class _Driver:
    """Starts the processes, listens to the first one, and begins again what was lost.

    Parameters
    ----------
    name : str
        Of the model.
    run : Run
        Of the process that asked for the fit.
    """

    def __init__(self, name: str, run: Run) -> None:
        self._name, self._run = name, run
        self._logged: set[tuple[Any, ...]] = set()  # epochs that are in the training log
        self._answers: dict[int, bool] = {}
        self._marks: list[int] = []
        self._shown = 0.0  # what the bar shows, and where the processes are
        self._step: Step | None = None
        self._steps = ExitStack()

    def train(self, parts: list[Any], folder: str, device: str) -> list[Any]:
        """Train until it is done, and return what the first process learned."""
        from ray.exceptions import RayError
        from ray.train import TrainingFailedError

        stuck, before, processes = 0, 0, 0
        with self._steps:
            while True:
                scaling = _scaling(device)
                if processes not in (0, scaling["num_workers"]):
                    warnings.warn(
                        f"{self._name}: training goes on in {scaling['num_workers']} processes, "
                        f"where it had {processes}: machines came or went",
                        TrainingWarning,
                        stacklevel=4,
                    )
                processes = scaling["num_workers"]
                try:
                    return self._attempt(parts, folder, scaling)
                except (RayError, TrainingFailedError) as error:
                    stuck = stuck + 1 if len(self._logged) == before else 0
                    before = len(self._logged)
                    if stuck >= BEGINNINGS:
                        raise TrainingError(
                            f"{self._name}: the processes that train it were lost or not to be had "
                            f"{stuck} times without an epoch in between; the last time because of: "
                            f"{_last_line(error)}"
                        ) from error
                    time.sleep(stuck)

    def _attempt(self, parts: list[Any], folder: str, scaling: dict[str, Any]) -> list[Any]:
        """Start the processes, listen until they have ended, and end them if this one must."""
        import ray
        from ray.util.queue import Queue

        mark = random.SystemRandom().randrange(2**20)
        scaling["resources_per_worker"]["memory"] = mark  # bytes by which its group is known
        told, answers = (Queue(actor_options={"num_cpus": 0}) for _ in range(2))
        config = {"parts": parts, "told": told, "answers": answers}
        # Ray Train takes over Ctrl-C and ends a process that is interrupted; so it has its own
        launch = ray.remote(num_cpus=0, max_retries=0)(_launch)
        result = launch.remote(config, folder, scaling)
        try:
            while not ray.wait([result], timeout=0.1)[0]:
                self._listen(told, answers)
            self._listen(told, answers)  # an error is told before the process ends
            learned: list[Any] = ray.get(result)
            return learned
        finally:
            ray.cancel(result, force=True)  # its actors end with it
            ray.wait([result], timeout=10)
            for queue in (told, answers):
                queue.shutdown(force=True)
            self._marks.append(mark)
            _remove_groups(self._marks)

    def _listen(self, told: Any, answers: Any) -> None:
        """Do what the first process asked for since the last time."""
        for what, *values in told.get_nowait_batch(told.qsize()):
            if what == "failed":
                raise values[0]
            if what == "row":
                self._row(values[0])
            elif what == "ask":
                epoch, metric = values
                if epoch not in self._answers and self._run.after_epoch is not None:
                    self._answers[epoch] = self._run.after_epoch(epoch, metric)
                answers.put((epoch, self._answers[epoch]))
            elif what == "begin" and self._step is None:
                self._step = self._steps.enter_context(self._run.progress.step(*values))
            elif self._step is not None and what == "at":
                self._step.advance(max(0.0, values[0] - self._shown))
                self._shown = max(self._shown, values[0])
            elif self._step is not None and what == "note":
                self._step.note(values[0])

    def _row(self, row: dict[str, Any]) -> None:
        """Write a line of the training log, unless the epoch was trained before a loss too."""
        from shoal.training.checkpoint import log

        epoch = row.get("model"), row["epoch"], row["loss"]  # a product has curves of its members
        if epoch not in self._logged:
            self._logged.add(epoch)
            log(self._run.training_log, row)


def _remove_groups(marks: list[int]) -> None:
    """Give back the cores that an attempt had reserved.

    A controller that is killed leaves them reserved for as long as the driver lives. Ray Train has
    an actor that looks for this, which needs the dashboard and stays for ever without it.
    """
    from ray import PlacementGroupID
    from ray.util import placement_group_table, remove_placement_group
    from ray.util.placement_group import PlacementGroup

    for name, group in placement_group_table().items():
        reserved = {int(bundle.get("memory", -1)) for bundle in group["bundles"].values()}
        if group["state"] != "REMOVED" and reserved & set(marks):
            remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(name)))


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


def _launch(config: dict[str, Any], folder: str, scaling: dict[str, Any]) -> Any:
    """Have Ray Train start the processes, in a process of its own; what the first one returns."""
    os.environ |= _SETTINGS
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.train.v2.api.config import LoggingConfig

    from shoal.training.world import PATIENCE

    class Trainer(TorchTrainer):  # type: ignore[misc]
        """Without the actor that `_remove_groups` stands for."""

        def _create_default_callbacks(self) -> list[Any]:
            every = super()._create_default_callbacks()
            return [c for c in every if type(c).__name__ != "PlacementGroupCleanerCallback"]

    trainer = Trainer(
        _train,
        train_loop_config=config,
        torch_config=TorchConfig(timeout_s=int(PATIENCE.total_seconds())),
        scaling_config=ScalingConfig(**scaling),
        run_config=RunConfig(
            name=f"attempt-{time.time_ns()}",
            storage_path=folder,
            failure_config=FailureConfig(RESTARTS, controller_failure_limit=2),
            logging_config=LoggingConfig("CRITICAL"),
        ),
    )
    return trainer.fit().return_value


def _train(config: dict[str, Any]) -> Any:
    """Fit the model together with the other processes; the first one returns what was learned."""
    import ray
    import ray.train

    told, first = config["told"], ray.train.get_context().get_world_rank() == 0
    log, model, validation, run = ray.get(config["parts"])
    threads = int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))

    def reported(row: dict[str, Any]) -> None:
        if first:
            told.put(("row", row))
        ray.train.report({"epoch": row["epoch"]})  # all wait for each other

    def asked(epoch: int, metric: float) -> bool:
        told.put(("ask", epoch, metric))
        while True:
            about, answer = config["answers"].get()
            if about == epoch:  # others were for processes that are gone
                return bool(answer)

    run = replace(
        run,
        threads=min(run.threads or threads, threads),
        progress=_Told(told) if first else run.progress,
        each_epoch=reported,
        after_epoch=None if run.after_epoch is None else asked,
    )
    model = type(model)(**model.model_dump())
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", TrainingWarning)
            model.fit(log, validation, run)
    except Exception as error:
        if not _peer_was_lost(error):
            told.put(("failed", error if isinstance(error, ShoalError) else _described(error)))
        raise
    if not first:
        return None
    messages = [str(w.message) for w in heard if issubclass(w.category, TrainingWarning)]
    return [model.state(), model.facts, model._outcome, messages]


def _peer_was_lost(error: Exception) -> bool:
    """Whether an exchange failed, which happens where another process has ended."""
    from ray.exceptions import RayError
    from torch import distributed

    if isinstance(error, RayError | distributed.DistError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and ("gloo" in words or "nccl" in words)


def _described(error: Exception) -> TrainingError:
    return TrainingError(f"training failed on a machine of the cluster: {error!r}")


class _Told:
    """Progress that the driver shows; at most twice a second."""

    def __init__(self, told: Any) -> None:
        self._told = told

    @contextmanager
    def step(self, label: str, total: float | None = None) -> Iterator[Step]:
        """Open a step here and on the driver."""
        self._told.put(("begin", label, total))
        step = _ToldStep(self._told)
        yield step
        step.tell()


class _ToldStep:
    def __init__(self, told: Any) -> None:
        self._told, self._at, self._last = told, 0.0, time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self._at += amount
        if time.monotonic() - self._last > 0.5:
            self.tell()

    def tell(self) -> None:
        self._told.put(("at", self._at))
        self._last = time.monotonic()

    def note(self, text: str) -> None:
        self._told.put(("note", text))
