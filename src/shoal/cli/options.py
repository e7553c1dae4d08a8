"""Arguments and options that several commands share, declared once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from shoal.cli import show
from shoal.cli.column_options import ColumnOptions
from shoal.cli.parse import one_of
from shoal.cli.running import ALL_BUT_JSON, OF_A_FIT, OF_TRAINING, RUN, RunOptions
from shoal.cli.takes import takes
from shoal.cli.text_options import TextOptions
from shoal.cli.unused import changed, mention, refuse
from shoal.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoal.base.recommender import Recommender
    from shoal.cluster.sharded import ShardedLog
    from shoal.data.counted import Event
    from shoal.data.interactions import Interactions
    from shoal.data.prepare import Duplicates
    from shoal.data.rows import Missing, Values
    from shoal.executor import Executor
    from shoal.experiments.tasks import AnySplit, SplitSettings, Task
    from shoal.run import Run

# what is declared elsewhere, and taken from here by the commands
__all__ = ("ALL_BUT_JSON", "OF_A_FIT", "OF_TRAINING", "RUN", "RunOptions", "takes")


def _live(path: Path) -> Path:
    """The live version, where a path is a store of versions."""
    from shoal.artifact import live_folder

    return live_folder(path)


Folder = Annotated[
    Path,
    typer.Argument(
        help="Model folder, as `shoal train` writes it; or a store, for its live version.",
        callback=_live,
    ),
]
Store = Annotated[Path, typer.Argument(help="Store of versions, as `shoal publish` makes it.")]
Log = Annotated[
    Path,
    typer.Argument(
        help="Interaction log (CSV, TSV, JSONL, Parquet, …); - is the standard input; or a folder, "
        "as shoal bucket writes it, or a URL of one (s3://…)."
    ),
]
OptionalLog = Annotated[
    Path | None, typer.Argument(help="Interaction log, unless --train and --test are given.")
]
HowMany = Annotated[int, typer.Option("-k", help="How many.")]
Metrics = Annotated[
    str,
    typer.Option(
        help="Comma-separated; the first one decides. Default: ndcg@100 and its head and tail, "
        "recall@20, recall@50, coverage@100 (compare: novelty@100 too).",
        show_default=False,
    ),
]
METRICS = "ndcg@100,recall@20,recall@50,ndcg@100:head,ndcg@100:tail,coverage@100"
STRONG = "strong"  # the split that is taken where none is named

VALUES: tuple[Values, ...] = ("binary", "keep", "log1p")
DUPLICATES: tuple[Duplicates, ...] = ("last", "first", "sum")
MISSING: tuple[Missing, ...] = ("error", "drop")

DATA, SPLIT = "Reading the log", "Split"


@dataclass
class ReadOptions(TextOptions, ColumnOptions):
    """How to read a log."""

    min_value: Annotated[
        float | None,
        typer.Option(help="Keep rows with at least this value (4 stars).", rich_help_panel=DATA),
    ] = None
    values: Annotated[
        str,
        typer.Option(
            help="binary: rows count 1 each; keep: their value; log1p: log(1 + value), for counts.",
            metavar="binary|keep|log1p",
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

    def __post_init__(self) -> None:
        self._trained_with: dict[str, Any] = {}
        self._events: tuple[Event, ...] = ()

    def for_task(self, task: Task[Any]) -> Self:
        """The same options, with the values of the log kept where the task reads them."""
        if not task.reads_values:
            return self
        return dataclasses.replace(self, values="keep").counting(self._events)

    def counting(self, events: Sequence[Event]) -> Self:
        """The same options, where only the rows of some events count; all, if none is named."""
        if not events:
            return self
        options = dataclasses.replace(self)
        options._events = tuple(events)
        return options

    def like_training_log(self, model: Recommender, *, quiet: bool) -> Self:
        """The same options; where none are given, those that the training log was read with."""
        from shoal.data.columns import quoted

        options = dataclasses.replace(self)
        options._trained_with = model.preparation
        min_value = model.preparation.get("min_value")
        if not quiet and self.min_value is None and min_value is not None:
            show.line(f"--min-value {min_value:g}, as when {model.name} was trained", "dim")
        for name in ("columns", "where", "weights", "time_format"):
            remembered = model.preparation.get(name)
            if not quiet and remembered and not getattr(self, name):
                if isinstance(remembered, dict):
                    remembered = ",".join(f"{k}={quoted(str(v))}" for k, v in remembered.items())
                option = name.replace("_", "-")
                show.line(f"--{option} {remembered}, as when {model.name} was trained", "dim")
        return options

    def read(
        self, path: Path, run: Run, *, file_order: bool = False, keep_seen: bool = False
    ) -> Interactions:
        """Read a log with these options."""
        from shoal.data.read import read

        keywords = self.keywords(run, keep_seen=keep_seen)
        return read(path, **keywords, file_order=file_order, progress=run.progress)

    def keywords(self, run: Run, *, keep_seen: bool = False) -> dict[str, Any]:
        """These options as keywords of `shoal.read`, but for the progress."""
        return {
            **self._what_counts(),
            "memory": run.memory,
            "keep_seen": keep_seen,
            **self.text_rules(),
            **self._known_of_items(),
        }

    def read_divided(self, path: Path, executor: Executor, run: Run) -> ShardedLog:
        """Read a folder of Parquet files with these options, by the machines of an executor.

        No machine holds all of its rows.
        """
        from shoal.cluster.reading import read_sharded

        way = "for a folder of Parquet files: it says itself how it is written"
        refuse(changed(self, tuple(self.text_rules())), way)
        return read_sharded(
            path,
            executor,
            **self._what_counts(),
            progress=run.progress,
            **self._known_of_items(),
        )

    def _what_counts(self) -> dict[str, Any]:
        """Which rows count and what they mean, as keywords of `read`."""
        for name, count in (
            ("--min-item-users", self.min_item_users),
            ("--min-user-items", self.min_user_items),
            ("--k-core", self.k_core),
        ):
            if count < 0:
                raise DataError(f"{name} {count}: give 0 or more")
        if self.min_value is not None and self.min_value != self.min_value:
            raise DataError("--min-value nan: give a number")
        return {
            "values": one_of(self.values, VALUES, "--values"),
            "duplicates": one_of(self.duplicates, DUPLICATES, "--duplicates"),
            "missing": one_of(self.missing, MISSING, "--missing"),
            **self._meaning_of_columns(),
            "min_value": self.min_value,
            "events": self._events,
            "since": self.since,
            "until": self.until,
            "min_item_users": self.min_item_users,
            "min_user_items": self.min_user_items,
            "k_core": self.k_core,
            "like": self._trained_with or None,
        }

    def _known_of_items(self) -> dict[str, Any]:
        """What a log is read with beside its rows, as keywords of `read`."""
        return {}


@dataclass
class LogOptions(ReadOptions):
    """How to read a log, and what is known of its items."""

    items: Annotated[
        Path | None,
        typer.Option(help="Item attributes (titles, …) by item id.", rich_help_panel=DATA),
    ] = None
    item_id: Annotated[
        str | None,
        typer.Option(
            help="The id column of --items, if it has no usual name.", rich_help_panel=DATA
        ),
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

    def _known_of_items(self) -> dict[str, Any]:
        names = ("items", "item_id", "vectors", "cold_items")
        return {name: getattr(self, name) for name in names}


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
    ] = STRONG
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

    def make(
        self, task: Task[AnySplit], log: Path | None, reading: LogOptions, run: Run
    ) -> tuple[Interactions, AnySplit]:
        """Read the log, or the files of a given split, and split it for a task.

        Returns
        -------
        log : Interactions
            The whole log, or the training file of a given split.
        parts : Split or RatingSplit
        """
        whole, split_by = self.prepare(task, log, reading, run)
        return whole, split_by(run.seed)

    @property
    def fixed(self) -> bool:
        """Whether what is held out does not depend on a seed."""
        return self.train is not None or self.protocol is not None

    def prepare(
        self, task: Task[AnySplit], log: Path | None, reading: LogOptions, run: Run
    ) -> tuple[Interactions, Callable[[int], AnySplit]]:
        """Read the log, or the files of a given split; and a function that splits by a seed.

        Returns
        -------
        log : Interactions
            The whole log, or the training file of a given split.
        split_by : callable
            Gives the split of a seed, the same one for all if it is `fixed`.
        """
        reading = reading.for_task(task)
        settings = self._settings()
        if self.train is not None or self.test is not None:
            if self.train is None or self.test is None or log is not None:
                raise DataError("give either one log, or both --train FILE and --test FILE")
            refuse(
                changed(self, ("split", "protocol", "test_size", "last")),
                "where --train and --test say what is held out: leave it out",
            )
            task.check_split(dataclasses.replace(settings, kind=None))
            train, test = reading.read(self.train, run), reading.read(self.test, run)
            size = self.validation_size or 0.0
            return train, lambda seed: task.split_given(train, test, size, seed)
        if log is None:
            raise DataError("name a log to read, or --train FILE and --test FILE")
        task.check_split(settings)
        self._refuse_what_does_not_go_together()
        whole: Interactions = reading.read(log, run, file_order=self.protocol is not None)
        if self.protocol is not None and run.seed != 0:
            note = f"--protocol {self.protocol} splits by a seed of its own"
            note += f": --seed {run.seed} is the models' alone"
            whole = dataclasses.replace(whole, notes=(*whole.notes, note))
        return whole, lambda seed: task.split(whole, settings, seed)

    def _refuse_what_does_not_go_together(self) -> None:
        if self.split != "leave-last":
            refuse(changed(self, ("last",)), "except with --split leave-last: leave it out")
        else:
            way = "with --split leave-last: --last N says how many items of each user are held out"
            mention(changed(self, ("test_size",)), way)
            if self.validation_size != 0:
                way = "with --split leave-last: --last N items are kept for it, and with 0 none"
                mention(changed(self, ("validation_size",)), way)
        if self.protocol is not None:
            way = f"with --protocol {self.protocol}: as many users as for the test (--test-size)"
            refuse(changed(self, ("validation_size",)), way)

    def _settings(self) -> SplitSettings:
        from shoal.experiments.tasks import SplitSettings

        # the option's default stands for the task's own split
        kind = None if self.split == STRONG else self.split
        return SplitSettings(kind, self.test_size, self.validation_size, self.last, self.protocol)
