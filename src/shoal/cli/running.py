"""Options of how to run, which are no matter of data or models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shoal.cli.outputs import check_training_log
from shoal.cli.parse import parse_bytes

if TYPE_CHECKING:
    from shoal.run import Run

RUN = "Running"
Memory = Annotated[
    str | None,
    typer.Option(help="Budget such as 8GB; default 80 % of what is free.", rich_help_panel=RUN),
]
JsonOutput = Annotated[
    bool,
    typer.Option("--json", help="Machine-readable output, no progress.", rich_help_panel=RUN),
]

# options of running that a command may have no use for
OF_TRAINING = ("precision", "checkpoint", "training_log")
OF_A_FIT = ("seed", *OF_TRAINING)
ALL_BUT_JSON = (*OF_A_FIT, "threads", "memory", "device")


@dataclass
class RunOptions:
    """How to run."""

    seed: Annotated[int, typer.Option(help="Of everything random.", rich_help_panel=RUN)] = 0
    threads: Annotated[
        int | None, typer.Option(help="Default: all cores.", rich_help_panel=RUN)
    ] = None
    memory: Memory = None
    device: Annotated[
        str, typer.Option(help="cpu, cuda, cuda:1, mps or auto.", rich_help_panel=RUN)
    ] = "cpu"
    precision: Annotated[
        str,
        typer.Option(
            help="Of deep models; auto: bfloat16 on CUDA.",
            metavar="auto|float32|bfloat16",
            rich_help_panel=RUN,
        ),
    ] = "auto"
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="Folder that training of a deep model is kept in, and continued from.",
            rich_help_panel=RUN,
        ),
    ] = None
    training_log: Annotated[
        Path | None,
        typer.Option(
            help="File for the learning curve (a line of JSON each).", rich_help_panel=RUN
        ),
    ] = None
    json_output: JsonOutput = False

    def run(self) -> Run:
        """The `Run` that these options describe."""
        from shoal.cli.progress import progress
        from shoal.run import Run

        memory = parse_bytes(self.memory) if self.memory else None
        check_training_log(self.training_log)
        run = Run(
            self.seed,
            self.device,
            self.threads,
            memory,
            progress(self.json_output),
            self.precision,
            self.checkpoint,
            self.training_log,
        )
        self._check_device(run)
        return run

    def _check_device(self, run: Run) -> None:
        """Refuse a device that is not there, whatever the model."""
        if run.device not in ("cpu", "auto"):
            run.torch_device  # noqa: B018
