"""The data of an experiment: read, hashed and split as its file says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from shoal.data.interactions import Interactions
from shoal.data.items import item_table
from shoal.data.merge import merged
from shoal.data.read import read
from shoal.data.vectors import Vectors
from shoal.errors import DataError
from shoal.experiments.files.experiment import Experiment
from shoal.experiments.files.facts import facts_of
from shoal.experiments.files.hashes import matrix_hash, raw_hashes, texts_hash, vectors_hash
from shoal.experiments.files.parts import DataPart
from shoal.experiments.tasks import RANKING, SplitSettings
from shoal.run import Run
from shoal.splitting.held_out import Split

VALIDATION_OF_GIVEN = 0.1  # share of the training items of a given split, where models are tuned


@dataclass(frozen=True)
class Loaded:
    """One data set of an experiment.

    Parameters
    ----------
    name : str
        Its name in tables.
    log : Interactions
        The whole log, or the training part of a given split.
    test : Interactions or None
        The test part of a given split.
    files : dict of str to Path
        What was read: ``log``, or ``train`` and ``test``; ``items`` and ``vectors``.
    hashes : dict
        ``raw`` (sha256 of each file), ``matrix`` (of the prepared interactions) and, where there
        are any, ``vectors`` or ``texts`` (of the items).
    facts : dict
        Sizes and how interactions are spread, as `facts_of` gives them.
    """

    name: str
    log: Interactions
    test: Interactions | None
    files: dict[str, Path]
    hashes: dict[str, Any]
    facts: dict[str, Any]

    @property
    def is_split(self) -> bool:
        """Whether the files say what is held out."""
        return self.test is not None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about how the data were read."""
        return self.log.notes if self.test is None else (*self.log.notes, *self.test.notes)


def load(
    experiment: Experiment, part: DataPart, files: dict[str, Path], run: Run | None = None
) -> Loaded:
    """Read one data set of an experiment.

    Parameters
    ----------
    experiment : Experiment
    part : DataPart
        The data set.
    files : dict of str to Path
        Where its tables are, as `tables_of` gives them.
    run : Run, optional
        Memory, threads and progress.

    Raises
    ------
    DataError
        A file is not there, or cannot be read.
    """
    run = run or Run()
    raw = raw_hashes(files)
    vectors, of_texts = _of_texts(part, files, run) if part.texts else (None, None)
    file_order = experiment.split.protocol is not None

    def log_of(path: Path) -> Interactions:
        log = read(
            path,
            items=files.get("items"),
            item_id=part.item_id if "items" in files else None,
            vectors=files.get("vectors"),
            cold_items=part.cold_items and vectors is None,
            events=experiment.events,
            file_order=file_order,
            memory=run.memory,
            progress=run.progress,
            **part.read.model_dump(),
        )
        if vectors is None:
            return log
        return log.with_vectors(
            vectors.ids, vectors.matrix, add_items=part.cold_items, space=vectors.space
        )

    logs = [log_of(files[role]) for role in ("log", "train", "test") if role in files]
    if part.joined:
        logs = [_one_log(part, logs)]
    hashes: dict[str, Any] = {"raw": raw, "matrix": matrix_hash(*logs)}
    if of_texts is not None:
        hashes["texts"] = of_texts
    elif (of_vectors := vectors_hash(*logs)) is not None:
        hashes["vectors"] = of_vectors
    test = logs[1] if len(logs) > 1 else None
    return Loaded(part.label, logs[0], test, files, hashes, facts_of(part.label, *logs))


def _one_log(part: DataPart, logs: list[Interactions]) -> Interactions:
    """The training and the test part of a given split together, prepared as one log."""
    if len(logs) < 2:
        raise DataError(f"{part.label}: joined is for a given split, and there is one log")
    if any(log.item_vectors is not None for log in logs):
        raise DataError(f"{part.label}: texts and vectors are left out where files are joined")
    read = part.read
    return merged(
        *logs,
        duplicates=read.duplicates,
        min_item_users=read.min_item_users,
        min_user_items=read.min_user_items,
        k_core=read.k_core,
    )


def make_split(loaded: Loaded, experiment: Experiment, seed: int) -> Split:
    """Hold out what the experiment says, for one seed.

    Parameters
    ----------
    loaded : Loaded
    experiment : Experiment
    seed : int
        Where all seeds have one split (`splits_alike`), the first one draws what is random in it.

    Raises
    ------
    DataError
        The data cannot be split so.
    """
    part = experiment.split
    if splits_alike(loaded, experiment):
        seed = experiment.seeds[0]
    if loaded.test is not None:
        given = part.of_a_log()
        if given and len(experiment.data) == 1:
            raise DataError(
                f"{loaded.name} is split already, into a training and a test file: leave out "
                f"split.{given[0]}"
            )
        validation = part.validation
        if validation is None:
            validation = 0.0 if experiment.tuning is None else VALIDATION_OF_GIVEN
        return RANKING.split_given(loaded.log, loaded.test, validation, seed)
    settings = SplitSettings(part.kind, part.test, part.validation, part.last, part.protocol)
    return RANKING.split(loaded.log, settings, seed)


def splits_alike(loaded: Loaded, experiment: Experiment) -> bool:
    """Whether every seed has the same split, so that seeds differ in the fits alone."""
    part = experiment.split
    return (
        loaded.is_split
        or part.kind in ("leave-last", "time")
        or part.protocol is not None
        or not part.resplit
    )


def _of_texts(part: DataPart, files: dict[str, Path], run: Run) -> tuple[Vectors, str]:
    """TF-IDF vectors of the texts of the item table (see `shoal embed`), and the texts' hash."""
    from shoal.text.embed import embed
    from shoal.text.template import render

    table, where = item_table(files["items"], part.item_id)
    template = part.texts if isinstance(part.texts, str) else _all_words(table, where)
    run = replace(run, seed=0)
    vectors = embed(table, template=template, embedder="tfidf", item="item", run=run)
    return vectors, texts_hash(table["item"], render(table, template, where))


def _all_words(table: pl.DataFrame, where: str) -> str:
    """A template with every column of words of an item table."""
    columns = [
        name
        for name in table.columns
        if name != "item"
        and table[name].dtype in (pl.String, pl.List(pl.String))
        and not _is_numbers(table[name])
        and not set(name) & set("{}!:")
    ]
    if not columns:
        raise DataError(
            f"{where} has no column of words, of which vectors could be made (it has: "
            f"{', '.join(table.columns)}): write texts as a template, such as "
            "texts: '{title}. {genres}'"
        )
    return ". ".join(f"{{{name}}}" for name in columns)


def _is_numbers(column: pl.Series) -> bool:
    """Whether a column of texts holds numbers alone: a year or a price is no word."""
    if column.dtype != pl.String:
        return False
    filled = column.drop_nulls()
    return bool(filled.cast(pl.Float64, strict=False).is_not_null().all())
