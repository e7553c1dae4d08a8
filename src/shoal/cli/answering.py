"""What the commands that answer share: options that act on an answer, and ids from files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli.parse import id_list, parse_bytes
from shoal.cli.running import RUN, JsonOutput, Memory
from shoal.errors import HistoryError

if TYPE_CHECKING:
    from shoal.run import Run

_TABLES = (".parquet", ".pq", ".csv", ".tsv", ".jsonl", ".ndjson", ".arrow", ".feather")
_TEXTS = (".txt", ".ids", ".list")


@dataclass
class LoadOptions:
    """How to load a model and print an answer."""

    memory: Memory = None
    json_output: JsonOutput = False

    def run(self) -> Run:
        """The `Run` that these options describe."""
        return self._run()

    def _run(self, **others: Any) -> Run:
        from shoal.cli.progress import progress
        from shoal.run import Run

        memory = parse_bytes(self.memory) if self.memory else None
        run = Run(memory=memory, progress=progress(self.json_output), **others)
        self._check_device(run)
        return run

    def _check_device(self, run: Run) -> None:
        """Refuse a device that is not there, whatever the model."""
        if run.device not in ("cpu", "auto"):
            run.torch_device  # noqa: B018


@dataclass
class RankOptions(LoadOptions):
    """How to load a model, rank with it and print an answer."""

    threads: Annotated[
        int | None, typer.Option(help="Default: all cores.", rich_help_panel=RUN)
    ] = None
    device: Annotated[
        str, typer.Option(help="cpu, cuda, cuda:1, mps or auto.", rich_help_panel=RUN)
    ] = "cpu"

    def run(self) -> Run:
        """The `Run` that these options describe."""
        return self._run(threads=self.threads, device=self.device)


def file_of_ids(text: str) -> Path | None:
    """The file that the text of an option names; None where the text holds the ids themselves."""
    given_as_file = text.startswith("@")
    path = Path(text[1:] if given_as_file else text)
    if not given_as_file and (
        path.suffix.lower() not in (*_TABLES, *_TEXTS) or "," in text or not path.is_file()
    ):
        return None
    return path


def ids_of(text: str, option: str) -> list[Any]:
    """Ids that are written with commas, or stand in a file.

    Parameters
    ----------
    text : str
        ``1193,661``, or ``@FILE``, or the path of a file that is there and has a usual ending.
        A text file holds ids in lines or with commas; a table has a column of item ids.
    option : str
        Name of the option, for error messages.

    Raises
    ------
    HistoryError
        There is no such file, it cannot be read, or it holds no id.
    DataError
        A table has no column that could be recognised as the item's id.
    """
    path = file_of_ids(text)
    if path is None:
        return id_list(text)
    if not path.is_file():
        raise HistoryError(f"{option} {text}: there is no file {path}")
    ids = _ids_in(path, option)
    if not ids:
        raise HistoryError(f"{option} {text}: the file holds no id")
    return ids


def _ids_in(path: Path, option: str) -> list[Any]:
    from shoal.data.columns import usual_names
    from shoal.data.items import read_items

    suffix = path.suffix.lower()
    if suffix in _TABLES:
        names: list[str] = []
        if suffix in (".csv", ".tsv"):
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                names = file.readline().strip().replace("\t", ",").split(",")
        if suffix not in (".csv", ".tsv") or usual_names("item", names):
            return read_items(path)["item"].to_list()
    try:
        return list(id_list(path.read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError) as error:
        raise HistoryError(f"{option}: {path} cannot be read as a text of ids ({error})") from None
