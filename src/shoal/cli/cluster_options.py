"""``--on``: where the work of a command is done, if not in this process."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli.answering import RankOptions
from shoal.cli.faults import to_stderr
from shoal.cli.parse import parse_bytes
from shoal.cli.running import RUN, RunOptions
from shoal.errors import ModelError

if TYPE_CHECKING:
    from shoal.run import Run

On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="ray|auto|http://HEAD:8265",
        help="Divide the work, by Ray: among the cores of this machine, the machines of the "
        "cluster that it belongs to, or as a job of another cluster.",
        show_default="this process",
        rich_help_panel=RUN,
    ),
]

# options that name what is written; all others that are paths name what is read
OUTPUTS = ("out", "publish", "checkpoint", "training_log", "per_user", "storage")


class OnCluster:
    """What options with ``--on`` do: submit the command, or connect to the machines."""

    on: str | None
    threads: int | None
    memory: str | None
    device: str
    _paths: Mapping[str, Path] = {}
    _executor: Any = None  # an `Executor`, once it is connected
    _threads_of_all: bool = True  # whether --threads is what the work takes altogether

    def begin(self, values: Mapping[str, Any]) -> None:
        """Submit the whole command, if it is for a cluster elsewhere, and exit as it does.

        Parameters
        ----------
        values : dict
            All arguments and options of the command, by their names, also in groups.
        """
        if self.on is None:
            return
        from shoal.cluster.connecting import check_place
        from shoal.run import started_by_torchrun

        kind = check_place(self.on)
        if started_by_torchrun():
            raise ModelError(
                f"--on {self.on}: torchrun starts the processes itself. Leave --on out, or start "
                "`shoal` without torchrun: Ray then starts what trains"
            )
        if self.device not in ("cpu", "cuda", "auto"):
            raise ModelError(
                f"--device {self.device} with --on {self.on}: write cuda, and Ray gives each task "
                "a GPU; or cpu"
            )
        self._paths = _paths(values)
        if kind == "http":
            from shoal.cluster.submitting import submit

            code = submit(self.on, sys.argv[1:], self._paths, write=_pass_on, say=to_stderr)
            raise typer.Exit(code)

    def threads_are_of_each(self) -> None:
        """Take --threads as that of each of several fits, which run side by side."""
        self._threads_of_all = False

    def _with_executor(self, run: Run) -> Run:
        """The run with the machines that --on names, once they are checked."""
        if self.on is None:
            return run
        if self._executor is None:
            from shoal.cluster.connecting import connect

            memory = parse_bytes(self.memory) if self.memory else None
            threads = self.threads if self._threads_of_all else None
            self._executor = connect(self.on, threads=threads, memory=memory)
            from shoal.cluster.checks import check_machines  # imports Ray, as `connect` sets it up

            inputs = {n: path for n, path in self._paths.items() if n not in OUTPUTS}
            outputs = {n: path for n, path in self._paths.items() if n in OUTPUTS}
            check_machines(inputs, outputs)
            self._refuse_missing_device()
        return dataclasses.replace(run, executor=self._executor)

    def _refuse_missing_device(self) -> None:
        """Refuse GPUs that no machine has."""
        from shoal.cluster.machines import machines

        if self.device == "cuda" and not any(machine.gpus for machine in machines()):
            raise ModelError(f"--device cuda: no machine of --on {self.on} has a GPU")


@dataclass
class ClusterRunOptions(OnCluster, RunOptions):
    """How to run, and on which machines."""

    on: On = None

    def run(self) -> Run:
        """The `Run` that these options describe, connected to the machines of --on."""
        return self._with_executor(super().run())

    def _check_device(self, run: Run) -> None:
        if self.on is None:
            super()._check_device(run)


@dataclass
class ClusterRankOptions(OnCluster, RankOptions):
    """How to rank, and on which machines."""

    on: On = None

    def run(self) -> Run:
        """The `Run` that these options describe, connected to the machines of --on."""
        return self._with_executor(super().run())

    def _check_device(self, run: Run) -> None:
        if self.on is None:
            super()._check_device(run)


def _pass_on(text: str) -> None:
    """Print what a job printed, as it is."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _paths(values: Mapping[str, Any]) -> dict[str, Path]:
    """The paths among arguments and options, by name; those in groups of options too."""
    found = {}
    for name, value in values.items():
        if isinstance(value, Path):
            found[name] = value
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.fields(value)
            found |= _paths({field.name: getattr(value, field.name) for field in fields})
    return {name: path for name, path in found.items() if str(path) != "-"}
