"""What lists for everyone are asked for, as plain data that goes to other processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from shoal.artifact import content_of, read_manifest
from shoal.cluster.list_folder import MOST_SHARDS, ListFolder
from shoal.cluster.list_log import files_of_log, identity
from shoal.data.buckets import is_bucketed
from shoal.errors import DataError, HistoryError
from shoal.run import Run

USERS_PER_SHARD = 25_000  # where nobody says how many shards a log without buckets has
_NOT_OPTIONS = ("like", "memory", "progress")  # of `read`; `like` follows from the model
_LONGEST = 200  # characters of an option that stands in the manifest; longer ones as a sha256


@dataclass(frozen=True)
class ListJob:
    """Lists for all users of a log, in parts.

    Parameters
    ----------
    model : Path
        The folder of the model.
    log : Path
        A log, or a folder of Parquet files with all rows of each user in one file.
    out : Path
        The folder of the parts.
    shards : int or None
        Number of parts; None takes the number of files of a folder, and else one part for each
        25,000 users.
    k : int
        Length of the lists.
    reading : dict
        Keywords of `shoal.read` for the log.
    rules : dict
        Keywords of `shoal.recommend_all`, but `seen`, `because` and `run`.
    because : bool
        With reasons.
    seen : Path or None
        Another log of what the users have seen.
    seen_reading : dict
        Keywords of `shoal.read` for `seen`.
    approximate : bool
        From the index in the model's folder.
    threads : int or None
        For each part that is made; every core, unless given.
    memory : int or None
        Budget in bytes, likewise.
    device : str
    name, version, made : str
        The model's name, the digits of its content, and when it was made; see `of`.
    """

    model: Path
    log: Path
    out: Path
    shards: int | None = None
    k: int = 10
    reading: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    because: bool = False
    seen: Path | None = None
    seen_reading: Mapping[str, Any] = field(default_factory=dict)
    approximate: bool = False
    threads: int | None = None
    memory: int | None = None
    device: str = "cpu"
    name: str = ""
    version: str = ""
    made: str = ""

    @staticmethod
    def of(model: str | Path, log: str | Path, out: str | Path, **options: Any) -> ListJob:
        """A job with the version of the model that its folder holds now.

        Parameters
        ----------
        model, log, out
            As the fields.
        **options
            The other fields.

        Raises
        ------
        ArtifactError
            There is no such model.
        DataError, HistoryError
            There is no such log, or it cannot be divided so.
        """
        version, made = content_of(model)
        name = str(read_manifest(model)["model"])
        job = ListJob(
            Path(model), Path(log), Path(out), name=name, version=version, made=made, **options
        )
        return job.with_shards()

    @property
    def bucketed(self) -> bool:
        """Whether all rows of each user are in one file of the log."""
        return is_bucketed(self.log)

    @property
    def folder(self) -> ListFolder:
        """The folder of the parts."""
        return ListFolder(self.out)

    @property
    def run(self) -> Run:
        """How to make a part."""
        return Run(threads=self.threads, memory=self.memory, device=self.device)

    def with_shards(self, n_users: int | None = None) -> ListJob:
        """The job with its number of shards, if that is known, or now that the users are counted.

        Raises
        ------
        HistoryError
            There are too many shards.
        """
        shards = self.shards
        files = len(files_of_log(self.log))
        if shards is None and (asked := self.folder.asked()):
            shards = int(asked["shards"])
        if shards is None and self.bucketed:
            shards = files
        if shards is None and n_users is not None:
            shards = max(1, -(-n_users // USERS_PER_SHARD))
        if shards is None:
            return self
        if not 1 <= shards <= MOST_SHARDS:
            raise HistoryError(f"{shards} shards: there are 1 to {MOST_SHARDS:,}")
        if self.bucketed and shards > files:
            raise HistoryError(
                f"{shards} shards: {self.log} has {files} files, and the rows of a file belong to "
                f"one shard: ask for {files} or fewer"
            )
        self._refuse_rules_over_all_users()
        return replace(self, shards=shards)

    def _refuse_rules_over_all_users(self) -> None:
        """Refuse what could only be known of a log by reading all of its files."""
        if not self.bucketed:
            return
        for name in ("min_item_users", "k_core"):
            if self.reading.get(name, 0) > 1:
                raise DataError(
                    f"--{name.replace('_', '-')} counts the users of all files, and each shard "
                    f"reads its own alone: leave it out, or prepare {self.log} beforehand"
                )

    def check_shard(self, shard: int) -> None:
        """Raise a HistoryError if there is no such shard."""
        assert self.shards is not None
        if not 0 <= shard < self.shards:
            raise HistoryError(
                f"shard {shard}/{self.shards}: shards are counted from 0, so the first is "
                f"0/{self.shards} and the last {self.shards - 1}/{self.shards}"
            )

    def asked(self) -> dict[str, Any]:
        """What the lists are, as the folder of the parts keeps it."""
        assert self.shards is not None
        options = {n: v for n, v in self.reading.items() if n not in _NOT_OPTIONS}
        options |= self.rules
        options |= {"because": self.because, "approximate": self.approximate, "k": self.k}
        given = {n: _plain(v) for n, v in sorted(options.items()) if not _is_nothing(v)}
        seen = None if self.seen is None else identity(self.seen)
        return {
            "model": {"model": self.name, "version": self.version, "created": self.made},
            "log": identity(self.log),
            "seen": seen,
            "options": given,
            "device": self.device,
            "shards": self.shards,
        }


def _is_nothing(value: Any) -> bool:
    """Whether an option is not given."""
    return value is None or value is False or (isinstance(value, list | dict | str) and not value)


def _plain(value: Any) -> Any:
    """An option as JSON has it; a long one as its sha256."""
    if isinstance(value, np.ndarray):
        return f"sha256 {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, Iterable) and not isinstance(value, str | Mapping):
        value = list(value)
    text = json.dumps(value, sort_keys=True, default=str)
    if len(text) > _LONGEST:
        return f"sha256 {hashlib.sha256(text.encode()).hexdigest()}"
    return json.loads(text)
