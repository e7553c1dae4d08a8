"""Maps of the items of the versions that answer, made in the background when first asked for.

A map takes seconds to minutes of one core. It is made once for each version: by one of the workers
where they share a store, which keeps it for the others and for the next start.
"""

from __future__ import annotations

import threading
import time
import weakref
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.artifact.pointer import is_store, map_file
from shoal.run import Run
from shoal.service.live import Served
from shoal.service.logs import log, reason_of
from shoal.service.quiet import QuietThread
from shoal.unfinished import being_written, file_beside, remove_leftovers

if TYPE_CHECKING:
    from shoal.maps.catalogue_map import CatalogueMap

_POLL = 1.0  # seconds between two looks at the map that another worker makes


@dataclass
class MapOfVersion:
    """The map of one version: it is there, is being made, or cannot be made.

    Parameters
    ----------
    made : CatalogueMap or None
    reason : str
        Why there is none; empty while it is being made.
    begun : float
        When it was first asked for, in seconds since 1970.
    """

    made: CatalogueMap | None = None
    reason: str = ""
    begun: float = field(default_factory=time.time)

    @property
    def is_coming(self) -> bool:
        """Whether it is being made."""
        return self.made is None and not self.reason


class ItemMaps:
    """Gives the maps of versions, and has those made that are not there.

    Parameters
    ----------
    memory : int, optional
        Budget in bytes.
    """

    def __init__(self, memory: int | None) -> None:
        self._run = Run(threads=1, memory=memory)
        self._lock = threading.Lock()
        self._maker = QuietThread("item-maps")

    def stop(self) -> None:
        """Make no more maps."""
        self._maker.stop()

    def of(self, served: Served) -> MapOfVersion:
        """The map of a version; the first call for it only begins to make it."""
        with self._lock:
            return served.cached("item map", lambda _: self._begin(served))

    def _begin(self, served: Served) -> MapOfVersion:
        """Have the map of a version made later; a version that waits for it can be freed."""
        state, held = MapOfVersion(), weakref.ref(served)
        self._maker.submit(lambda: self._make(held, state))
        return state

    def _make(self, held: weakref.ref[Served], state: MapOfVersion) -> None:
        """Find the map in the store, or make it and keep it there if that is possible."""
        served = held()
        if served is None:  # another version answers by now, and nobody can ask for this map
            return
        try:
            path = _place(served)
            state.made = None if path is None else _from_others(path, served.checksum)
            if state.made is None:
                began = time.monotonic()
                state.made = self._make_and_keep(served, path)
                seconds = round(time.monotonic() - began, 1)
                log("info", "a map of the items is made", version=served.version, seconds=seconds)
        except Exception as error:  # whatever is wrong, the pages go on without a map
            state.reason = reason_of(error)
            log("warning", "no map of the items", version=served.version, reason=state.reason)

    def _make_and_keep(self, served: Served, path: Path | None) -> CatalogueMap:
        from shoal.maps.catalogue_map import make_catalogue_map

        with ExitStack() as stack:
            unfinished: Path | None = None
            if path is not None:
                with suppress(OSError):  # a store that may only be read
                    path.parent.mkdir(exist_ok=True)
                    unfinished = stack.enter_context(file_beside(path))  # others wait for it
            made = make_catalogue_map(served.model, served.checksum, self._run)
            if path is not None and unfinished is not None:
                with suppress(OSError):  # a disk that is full
                    unfinished.write_bytes(made.content)
                    unfinished.chmod(0o644)
                    unfinished.replace(path)
        return made


def _place(served: Served) -> Path | None:
    """Where the store keeps the map of a version; None for a model folder."""
    store = served.folder.parent
    if served.folder.name != served.version or not is_store(store):
        return None
    return map_file(store, served.version)


def _from_others(path: Path, checksum: str) -> CatalogueMap | None:
    """The map that another process has kept, or makes now; None if it is to be made here."""
    from shoal.maps.catalogue_map import read_catalogue_map

    while True:
        remove_leftovers(path)
        others = being_written(path)
        kept = read_catalogue_map(path, checksum)
        if kept is not None or not others:
            return kept
        time.sleep(_POLL)
