"""The live model: it answers until the next version is loaded, warm, and put in its place.

A thread looks for a new version, loads it beside the one that answers, warms it up, and swaps by
one assignment. A request takes the reference once, at its begin, so its answer is of exactly one
version; the old one is freed when the last request that holds it has ended. What is expensive under
Python's lock (the dictionary of ids) happens in that thread, before the swap.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from shoal.artifact.release import release_pages
from shoal.base.recommender import Recommender
from shoal.errors import ArtifactError
from shoal.run import Run
from shoal.service.logs import log, reason_of
from shoal.service.quiet import QuietThread
from shoal.service.settings import MAIN
from shoal.service.watch import Watch

T = TypeVar("T")

ITEM_SEARCH = "item search"  # name of what finds items by words, of `Served.cached`
RETRY_SECONDS = 30.0  # after which a version that could not be loaded is tried once more


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Served:
    """One version of a model, as requests hold it; nothing of it ever changes but its caches.

    Parameters
    ----------
    model : Recommender
        Fitted; nobody fits or changes it.
    name, version : str
        The model's name, and the name of its version in the store.
    checksum : str
        sha256 of the file of fitted arrays.
    folder : Path
        Where it was loaded from.
    loaded : float
        When, in seconds since 1970.
    created : str
        When it was saved, as its manifest says.
    """

    model: Recommender
    name: str
    version: str
    checksum: str
    folder: Path
    loaded: float
    created: str = ""
    _cache: dict[str, Any] = field(default_factory=dict, repr=False)

    def cached(self, name: str, make: Callable[[Recommender], T]) -> T:
        """What `make` computes of this model, computed once; threads may do so at once."""
        if name not in self._cache:
            self._cache[name] = make(self.model)
        value: T = self._cache[name]
        return value


@dataclass(frozen=True)
class Trouble:
    """Why the version that should answer does not.

    Parameters
    ----------
    version : str
        Its name; empty where there is none at all.
    reason : str
    since : float
        Seconds since 1970.
    """

    version: str
    reason: str
    since: float = field(default_factory=time.time)


class LiveModel:
    """Watches a store or a model folder, and holds the version that answers.

    Parameters
    ----------
    path : Path
        A store of versions, or a model folder that `save` may replace.
    poll_seconds : float
        How often to look.
    memory : int, optional
        Budget in bytes for loading.
    on_swap : callable, optional
        Is told of each `Served` that begins to answer, in the watching thread.
    on_trouble : callable, optional
        Is told of each `Trouble`, and by None of its end.
    before_swap : callable, optional
        Gets each `Served` before it answers, in the thread that has loaded it.
    name : str
        What the service calls this model, for its log.
    version : str, optional
        The version of the store that answers for good, whichever is live; None follows the store.
    """

    def __init__(
        self,
        path: Path,
        poll_seconds: float = 0.5,
        memory: int | None = None,
        on_swap: Callable[[LiveModel, Served], None] | None = None,
        on_trouble: Callable[[LiveModel, Trouble | None], None] | None = None,
        before_swap: Callable[[LiveModel, Served], None] | None = None,
        *,
        name: str = MAIN,
        version: str | None = None,
    ) -> None:
        self.name, self._pinned = name, version
        self.path, self._run = path, Run(threads=1, memory=memory)
        self._on_swap, self._on_trouble, self._before_swap = on_swap, on_trouble, before_swap
        self._served: Served | None = None
        self._mark: str | None = None  # of what answers now
        self._retired: list[Served] = []  # versions that requests may still hold
        self._failed: tuple[str, float] | None = None  # mark and time of what could not be loaded
        self.trouble: Trouble | None = None
        self.swaps = 0
        self._loader = QuietThread("load-version")  # loads what comes after the first version
        self._watch = Watch("live-model", self.look, poll_seconds)
        self.first_look = self._watch.first_look  # set when it has ended, well or not

    @property
    def served(self) -> Served | None:
        """The version that answers now; None as long as there is none."""
        return self._served

    def start(self) -> None:
        """Begin to watch; the first version is loaded by the watching thread too."""
        self._watch.start()

    def stop(self) -> None:
        """Stop to watch. The model goes on to answer."""
        self._watch.stop()

    def look_now(self) -> None:
        """Look for a new version at once."""
        self._watch.look_now()

    def look(self) -> bool:
        """Look once, and load, warm and swap if there is a new version; says whether it was."""
        mark = version = ""
        self._let_go()
        try:
            mark, version = self._current()
            if mark == self._mark:
                self._is_well()
                return False
            failed, when = self._failed or ("", 0.0)
            if failed == mark and time.monotonic() - when < RETRY_SECONDS:
                return False
            served = self._load_beside(version)
        except Exception as error:  # whatever is wrong with a new version, the old one answers
            self._failed = (mark, time.monotonic())
            self._is_ill(version, error)
            return False
        if self._served is not None:
            self._retired.append(self._served)
        self._served, self._mark, self._failed = served, mark, None
        self.swaps += 1
        self._is_well()
        about = {"model": served.name, "version": served.version}
        log("info", "a version answers", live=self.name, **about)
        if self._on_swap is not None:
            self._on_swap(self, served)
        return True

    def _let_go(self) -> None:
        """Free old versions that no request holds any more.

        To give back the memory of a large model takes long. The last request that holds one would
        have to do it, were it not held here until then.
        """
        for place in reversed(range(len(self._retired))):
            if sys.getrefcount(self._retired[place]) <= 2:  # the list's and the argument's
                release_pages(self._retired[place].model)
                del self._retired[place]

    def _load_beside(self, version: str) -> Served:
        """Load and warm a version, at a lower priority if requests are answered meanwhile."""
        if self._served is None:
            return self._load_and_warm(version)
        return self._loader.call(lambda: self._load_and_warm(version))

    def _load_and_warm(self, version: str) -> Served:
        served = self._load(version)
        _warm(served)
        if self._before_swap is not None:
            self._before_swap(self, served)
        return served

    def _is_well(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            if self._on_trouble is not None:
                self._on_trouble(self, None)

    def _is_ill(self, version: str, error: Exception) -> None:
        reason = reason_of(error)
        if self.trouble is not None and (self.trouble.version, self.trouble.reason) == (
            version, reason,
        ):  # fmt: skip
            return
        self.trouble = Trouble(version, reason)
        about = {"version": version, "reason": reason}
        log("error", "a version cannot be loaded", live=self.name, **about)
        if self._on_trouble is not None:
            self._on_trouble(self, self.trouble)

    def _current(self) -> tuple[str, str]:
        """What tells the current version from others, and its name if it is one of a store."""
        from shoal.artifact import Store
        from shoal.artifact.manifest import MANIFEST

        if self._pinned is not None:
            Store(self.path).folder(self._pinned)  # an error where it was removed
            return self._pinned, self._pinned
        with suppress(OSError):
            about = (self.path / MANIFEST).stat()
            return f"{about.st_ino}-{about.st_mtime_ns}", ""
        version = Store(self.path).current()
        return version, version

    def _load(self, version: str) -> Served:
        from shoal.artifact import load, read_manifest
        from shoal.artifact.manifest import hash_of_arrays

        folder = self.path
        if version:
            from shoal.artifact import Store

            folder = Store(self.path).folder(version)
        for _ in range(3):  # a folder may be replaced between the manifest and the arrays
            manifest = read_manifest(folder)
            model = load(folder, self._run, mapped=True)
            if manifest == read_manifest(folder):
                break
        else:
            raise ArtifactError(f"{folder} is replaced all the time: serve a store of versions")
        checksum = hash_of_arrays(manifest)
        created = str(manifest["created"])
        name = version or f"{created}-{checksum[:8]}"
        return Served(model, model.name, name, checksum, folder, time.time(), created)


def _warm(served: Served) -> None:
    """Compile, import and compute all that the first requests would have to wait for."""
    from shoal.inference.item_search import ItemSearch
    from shoal.inference.warmup import warm_up

    warm_up(served.model)
    served.cached(ITEM_SEARCH, ItemSearch).find("a")
