"""The options of commands that answer about one person: ids, or a user of a log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli.options import ReadOptions
from shoal.cli.parse import id_list
from shoal.cli.unused import refuse_without_log
from shoal.errors import HistoryError

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.run import Run


@dataclass
class HistoryOptions:
    """Whose history is read, and where."""

    history: Annotated[str, typer.Option(help="Item ids, comma-separated.")] = ""
    log: Annotated[Path | None, typer.Option(help="Log to take a history from.")] = None
    user: Annotated[str | None, typer.Option(help="The user of --log.")] = None

    def check(self, reading: ReadOptions) -> None:
        """Refuse options that do not go together.

        Raises
        ------
        HistoryError
            Neither or both of a history and a log, or a log without a user.
        DataError
            Options of reading without a log.
        """
        if bool(self.history) == bool(self.log) or (self.log is None) != (self.user is None):
            raise HistoryError("give either --history ID,ID,… or --log FILE with --user ID")
        refuse_without_log(reading, self.log)

    def read(self, model: Recommender, reading: ReadOptions, run: Run, *, quiet: bool) -> Any:
        """The ids, or the log, as functions of `shoal.inference` take them."""
        if self.log is None:
            return id_list(self.history)
        return reading.like_training_log(model, quiet=quiet).read(self.log, run, keep_seen=True)
