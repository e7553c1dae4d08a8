"""Options that several commands share, declared once.

A command takes them as one argument: `@takes(LogOptions, RunOptions)` puts the fields of the
dataclasses on its command line and hands it the filled objects.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from shoal.errors import DataError, ModelError

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.data.interactions import Interactions
    from shoal.run import Run
    from shoal.splitting.held_out import Split

Folder = Annotated[Path, typer.Argument(help="Model folder, as `shoal train` writes it.")]

DATA, SPLIT, RUN = "Reading the log", "Split", "Running"


def takes(*groups: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Expand parameters annotated with these dataclasses into their fields."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(command, include_extras=True)
        plain: list[inspect.Parameter] = []
        grouped: dict[str, type] = {}
        for parameter in inspect.signature(command).parameters.values():
            hint = hints[parameter.name]
            if hint in groups:
                grouped[parameter.name] = hint
            else:
                plain.append(parameter.replace(annotation=hint, kind=parameter.KEYWORD_ONLY))
        for group in grouped.values():
            fields = get_type_hints(group, include_extras=True)
            plain += [
                inspect.Parameter(
                    f.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=f.default,
                    annotation=fields[f.name],
                )
                for f in dataclasses.fields(group)
            ]

        @functools.wraps(command)
        def packed(**values: Any) -> Any:
            for name, group in grouped.items():
                names = [f.name for f in dataclasses.fields(group)]
                values[name] = group(**{n: values.pop(n) for n in names})
            return command(**values)

        del packed.__wrapped__
        packed.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]
        packed.__annotations__ = {p.name: p.annotation for p in plain}
        return packed

    return decorate


@dataclass
class ReadOptions:
    """How to read a log."""

    columns: Annotated[
        str,
        typer.Option(
            help="Roles of columns where the guess is wrong: user=…,item=…,value=…,time=… "
            "(none leaves a role empty).",
            rich_help_panel=DATA,
        ),
    ] = ""
    min_value: Annotated[
        float | None,
        typer.Option(help="Keep rows with at least this value (4 stars).", rich_help_panel=DATA),
    ] = None
    values: Annotated[
        str,
        typer.Option(
            help="binary: rows count 1 each; keep: they count their value.",
            metavar="binary|keep",
            rich_help_panel=DATA,
        ),
    ] = "binary"
    duplicates: Annotated[
        str,
        typer.Option(
            help="What to keep of several rows of a user and item.",
            metavar="last|first|sum",
            rich_help_panel=DATA,
        ),
    ] = "last"
    missing: Annotated[
        str,
        typer.Option(
            help="What to do with rows that lack something.",
            metavar="error|drop",
            rich_help_panel=DATA,
        ),
    ] = "error"
    since: Annotated[
        str | None, typer.Option(help="From this time or date on.", rich_help_panel=DATA)
    ] = None
    until: Annotated[
        str | None, typer.Option(help="Before this time or date.", rich_help_panel=DATA)
    ] = None
    min_item_users: Annotated[
        int, typer.Option(help="Items with so many users (one pass).", rich_help_panel=DATA)
    ] = 0
    min_user_items: Annotated[
        int, typer.Option(help="Users with so many items (one pass).", rich_help_panel=DATA)
    ] = 0
    k_core: Annotated[
        int, typer.Option(help="Both, repeated until all have it.", rich_help_panel=DATA)
    ] = 0

    def as_fitted(self, model: Recommender, *, quiet: bool) -> None:
        """Take the options that the model's own log was read with, where none are given."""
        from shoal.cli import show

        then = model.preparation
        if self.min_value is None and then.get("min_value") is not None:
            self.min_value = then["min_value"]
            if not quiet:
                text = f"--min-value {self.min_value:g}, as when {model.name} was trained"
                show.line(text, "dim")
        if self.values == "binary" and then.get("values") == "keep":
            self.values = "keep"

    def read(self, path: Path, run: Run, *, file_order: bool = False) -> Interactions:
        """Read a log with these options."""
        from shoal.data.read import read

        for name, count in (
            ("--min-item-users", self.min_item_users),
            ("--min-user-items", self.min_user_items),
            ("--k-core", self.k_core),
        ):
            if count < 0:
                raise DataError(f"{name} {count}: give 0 or more")
        if self.min_value is not None and self.min_value != self.min_value:
            raise DataError("--min-value nan: give a number")
        for name, value, known in (
            ("--values", self.values, ("binary", "keep")),
            ("--duplicates", self.duplicates, ("last", "first", "sum")),
            ("--missing", self.missing, ("error", "drop")),
        ):
            if value not in known:
                raise DataError(f"{name} {value}: write one of {', '.join(known)}")
        return read(
            path,
            columns=pairs(self.columns, "--columns"),
            min_value=self.min_value,
            values=self.values,  # type: ignore[arg-type]
            duplicates=self.duplicates,  # type: ignore[arg-type]
            missing=self.missing,  # type: ignore[arg-type]
            since=self.since,
            until=self.until,
            min_item_users=self.min_item_users,
            min_user_items=self.min_user_items,
            k_core=self.k_core,
            items=getattr(self, "items", None),
            vectors=getattr(self, "vectors", None),
            cold_items=getattr(self, "cold_items", False),
            file_order=file_order,
            progress=run.progress,
        )


@dataclass
class LogOptions(ReadOptions):
    """How to read a log, and what is known of its items."""

    items: Annotated[
        Path | None,
        typer.Option(help="Item attributes (titles, …) by item id.", rich_help_panel=DATA),
    ] = None
    vectors: Annotated[
        Path | None,
        typer.Option(
            help="A vector for each item (Parquet, or .npy in the order of --items), for models "
            "that read texts.",
            rich_help_panel=DATA,
        ),
    ] = None
    cold_items: Annotated[
        bool,
        typer.Option(
            "--cold-items",
            help="Take items with a vector and no interaction into the catalogue.",
            rich_help_panel=DATA,
        ),
    ] = False


@dataclass
class SplitOptions:
    """What is held out."""

    split: Annotated[
        str,
        typer.Option(
            help="What is held out: see docs/evaluation.md.",
            metavar="strong|weak|leave-last|time|cold-items; of ratings: random|user|time",
            rich_help_panel=SPLIT,
        ),
    ] = "strong"
    protocol: Annotated[
        str | None,
        typer.Option(help="mult-vae: the published recipe, bit by bit.", rich_help_panel=SPLIT),
    ] = None
    test_size: Annotated[
        float | None,
        typer.Option(
            help="Share of users (strong; or a number of them), of each user's items (weak), of "
            "time (time), of items (cold-items; or a number of them).",
            rich_help_panel=SPLIT,
        ),
    ] = None
    validation_size: Annotated[
        float | None, typer.Option(help="Likewise; 0 for none.", rich_help_panel=SPLIT)
    ] = None
    last: Annotated[
        int, typer.Option(help="For leave-last: so many items.", rich_help_panel=SPLIT)
    ] = 1
    train: Annotated[
        Path | None,
        typer.Option(help="Training file of a given split.", rich_help_panel=SPLIT),
    ] = None
    test: Annotated[
        Path | None, typer.Option(help="Test file of a given split.", rich_help_panel=SPLIT)
    ] = None

    def files(
        self, log: Path | None, how: LogOptions, run: Run
    ) -> tuple[Interactions, Interactions] | None:
        """Read --train and --test; None where there is one log, which is to be split."""
        if self.train or self.test:
            if not (self.train and self.test) or log:
                raise DataError("give either one log, or both --train FILE and --test FILE")
            return how.read(self.train, run), how.read(self.test, run)
        if log is None:
            raise DataError("name a log to read, or --train FILE and --test FILE")
        return None

    def make(self, log: Path | None, how: LogOptions, run: Run) -> tuple[Interactions, Split]:
        """Read what there is to read and split it; gives the log (or training file) too."""
        from shoal.splitting.split import split, split_given

        parts = self.files(log, how, run)
        if parts is not None:
            share = self.validation_size or 0.0
            return parts[0], split_given(*parts, validation=share, seed=run.seed)
        assert log is not None
        whole = how.read(log, run, file_order=self.protocol is not None)
        return whole, split(
            whole,
            self.split,  # type: ignore[arg-type]
            seed=run.seed,
            test=self.test_size,
            validation=self.validation_size,
            last=self.last,
            protocol=self.protocol,  # type: ignore[arg-type]
        )


@dataclass
class RunOptions:
    """How to run."""

    seed: Annotated[int, typer.Option(help="Of everything random.", rich_help_panel=RUN)] = 0
    threads: Annotated[
        int | None, typer.Option(help="Default: all cores.", rich_help_panel=RUN)
    ] = None
    memory: Annotated[
        str | None,
        typer.Option(help="Budget such as 8GB; default 80 % of what is free.", rich_help_panel=RUN),
    ] = None
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
    json_output: Annotated[
        bool,
        typer.Option("--json", help="Machine-readable output, no progress.", rich_help_panel=RUN),
    ] = False

    def run(self) -> Run:
        """The `Run` that these options describe."""
        from shoal.cli.progress import progress
        from shoal.run import Run

        memory = parse_bytes(self.memory) if self.memory else None
        return Run(
            self.seed,
            self.device,
            self.threads,
            memory,
            progress(self.json_output),
            self.precision,
            self.checkpoint,
            self.training_log,
        )


def pairs(text: str, option: str) -> dict[str, str]:
    """``a=1,b=2`` as a mapping."""
    out = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise DataError(f"{option} {part!r}: write name=value, several with commas")
        out[name.strip()] = value.strip()
    return out


def parse_bytes(text: str) -> int:
    """``8GB``, ``512 MB``, ``1e9`` as a number of bytes."""
    units = {"": 1, "B": 1, "K": 1e3, "KB": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9}
    units |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "T": 1e12, "TB": 1e12, "TIB": 2**40}
    plain = text.strip().upper()
    number = plain.rstrip("KMGTIB ")
    try:
        value = float(number) * units[plain[len(number) :].strip()]
    except (ValueError, KeyError):
        raise ModelError(f"--memory {text!r}: write a size such as 8GB or 512MB") from None
    if not 1 <= value < 1e18:
        raise ModelError(f"--memory {text!r}: that is no amount of memory")
    return int(value)


def id_list(text: str | None) -> list[str]:
    """``1193,661`` as a list of ids; an id with a comma stands in quotes, as in CSV."""
    import csv

    lines = csv.reader((text or "").splitlines(), skipinitialspace=True)
    return [cell.strip() for line in lines for cell in line if cell.strip()]
