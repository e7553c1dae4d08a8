"""The totals of all workers, read from their files without making an object for every number.

`prometheus_client.multiprocess` adds up the same files, in several times the time; what it gives is
what this is tested against.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

from shoal.service.totals import Collected, Totals


class WorkerTotals:
    """Reads the files in which workers keep their metrics.

    Parameters
    ----------
    folder : Path
        That of PROMETHEUS_MULTIPROC_DIR.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # what each key of a file is: the name of a sample and its labels, parsed once
        self._known: dict[str, tuple[str, dict[str, str]]] = {}

    def read(self) -> Totals:
        """The totals of all workers, also of those that have ended."""
        collected = Collected()
        below: dict[tuple[str, float], float] = {}  # requests in each bucket, and in no other
        for path in sorted(self._folder.glob("*.db")):
            with suppress(FileNotFoundError):  # that of a gauge of a worker that has just ended
                values = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
                for key, value, _, _ in values:
                    name, labels = self._parsed(key)
                    place = collected.bucket_of(name, labels)
                    if place is None:
                        collected.add(name, labels, value)
                    else:
                        below[place] = below.get(place, 0.0) + value
        reached: dict[str, float] = {}
        for (route, bound), value in sorted(below.items()):
            reached[route] = reached.get(route, 0.0) + value
            collected.buckets[route, bound] = reached[route]
        return collected.totals()

    def _parsed(self, key: str) -> tuple[str, dict[str, str]]:
        parsed = self._known.get(key)
        if parsed is None:
            _, name, labels, _ = json.loads(key)
            parsed = self._known[key] = name, labels
        return parsed
