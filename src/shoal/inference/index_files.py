"""Files of indexes: written into a model's folder, and checked before anything is searched in them.

index.faiss    the index, as faiss writes it
index.json     what is known of it (`Facts`), and the sha256 of the other file
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np

from shoal.errors import ArtifactError
from shoal.files import replacing
from shoal.folders import OpenFolder, ReplacedError
from shoal.inference.index import Facts, Index, Kind, faiss_or_advice

FILE, ABOUT = "index.faiss", "index.json"

ATTEMPTS = 20  # to read two files that belong together while others replace them
PAUSE = 0.02  # seconds between two of them
LARGEST_ABOUT = 1_000_000  # bytes
_CLASSES = {"flat": "IndexFlat", "hnsw": "IndexHNSWFlat", "ivf": "IndexIVFFlat"}


def save_index(index: Index, folder: str | Path) -> Path:
    """Write an index into a model's folder (which a new model there replaces as a whole).

    Raises
    ------
    ArtifactError
        No such folder, or the disk refuses.
    """
    faiss, folder = faiss_or_advice(), Path(folder)
    content = {FILE: faiss.serialize_index(index.found).tobytes()}
    about = {"sha256": hashlib.sha256(content[FILE]).hexdigest(), **asdict(index.facts)}
    content[ABOUT] = json.dumps(about, indent=1).encode() + b"\n"
    try:
        for name, data in content.items():  # a kill in between is noticed by the sha256
            with replacing(folder / name) as unfinished:
                unfinished.write_bytes(data)
    except OSError as error:
        raise ArtifactError(f"{folder / FILE} could not be written ({error})") from error
    return folder / FILE


def load_index(folder: str | Path) -> Index:
    """Read the index in a model's folder.

    Raises
    ------
    ArtifactError
        There is none, or it is damaged.
    MissingExtraError
        faiss is not installed.
    """
    faiss, folder = faiss_or_advice(), Path(folder)
    for attempt in range(ATTEMPTS):
        about, data, problem = _read(folder)
        if not problem:
            break
        if attempt < ATTEMPTS - 1:
            time.sleep(PAUSE)  # it may just be replaced: its two files follow one another
    if problem:
        raise _damaged(folder, problem)
    try:
        facts = _facts(about)
        with _limits(faiss, len(data)):
            found = faiss.deserialize_index(np.frombuffer(data, np.uint8))
        _check(faiss, found, facts)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        raise _damaged(folder, " ".join(str(error).split())[:200]) from None
    return Index(facts, found)


def _damaged(folder: Path, why: str) -> ArtifactError:
    return ArtifactError(f"{folder / FILE} is damaged ({why}): build it again")


def _read(folder: Path) -> tuple[dict[str, Any], bytes, str]:
    """What the two files hold, and why they do not belong together ("" if they do)."""
    try:
        with OpenFolder(folder) as opened:
            text, data = opened.read(ABOUT, LARGEST_ABOUT), opened.read(FILE, 2**62)
    except FileNotFoundError:
        text, data = None, None
    except ReplacedError:
        return {}, b"", "its folder was replaced"
    if text is None or data is None:
        raise ArtifactError(
            f"{folder} has no index: build one with shoal index {shlex.quote(str(folder))} --log …"
        )
    try:
        about = json.loads(text)
    except (ValueError, RecursionError) as error:
        return {}, b"", f"{ABOUT}: {error}"
    if not isinstance(about, dict) or "sha256" not in about:
        return {}, b"", f"{ABOUT} says no sha256"
    if hashlib.sha256(data).hexdigest() != about.pop("sha256"):
        return {}, b"", "its sha256 is another"
    return about, data, ""


def _facts(about: dict[str, Any]) -> Facts:
    """The facts in a file; raises a ValueError or TypeError if one is missing or impossible."""
    facts = Facts(**about)
    if facts.kind not in get_args(Kind) or not isinstance(facts.vectors, str):
        raise ValueError(f"{ABOUT}: it is of no kind that there is")
    for field in fields(Facts):
        value = getattr(facts, field.name)
        if field.name in ("kind", "vectors"):
            continue
        whole = field.name in ("n_items", "width", "effort", "k", "histories")
        known = type(value) is int if whole else type(value) in (int, float)
        if not known or not math.isfinite(value) or not 0 <= value < 2**31:
            raise ValueError(f"{ABOUT}: {field.name} is {value!r:.40}")
    return facts


@contextlib.contextmanager
def _limits(faiss: Any, n_bytes: int) -> Iterator[None]:
    """Let faiss allocate no vector that is larger than the file that it reads."""
    if not hasattr(faiss, "set_deserialization_vector_byte_limit"):
        yield
        return
    before = faiss.get_deserialization_vector_byte_limit()
    faiss.set_deserialization_vector_byte_limit(max(n_bytes, 1))
    try:
        yield
    finally:
        faiss.set_deserialization_vector_byte_limit(before)


def _check(faiss: Any, found: Any, facts: Facts) -> None:
    """Raise a ValueError if an index is not what its facts say, or refers beyond its end."""
    name, n, d = type(found).__name__, facts.n_items, facts.width
    if not name.startswith(_CLASSES[facts.kind]):
        raise ValueError(f"it is a {name}, not of the kind {facts.kind}")
    if (found.ntotal, found.d) != (n, d) or found.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise ValueError(f"it has {found.ntotal:,} vectors of {found.d}, not {n:,} of {d}")
    if facts.kind == "flat":
        _check_flat(faiss, found, n, d)
    elif facts.kind == "hnsw":
        _check_flat(faiss, faiss.downcast_index(found.storage), n, d)
        _check_graph(faiss, found.hnsw, n)
    else:
        _check_cells(faiss, found, n, d)


def _check_flat(faiss: Any, flat: Any, n: int, d: int) -> None:
    if (flat.ntotal, flat.d) != (n, d) or flat.codes.size() != 4 * n * d:
        raise ValueError("its vectors are not all there")


def _check_graph(faiss: Any, graph: Any, n: int) -> None:
    """Check that all edges of an hnsw graph lead to vectors, and the extents of its lists."""
    neighbours, offsets, levels = (
        faiss.vector_to_array(v) for v in (graph.neighbors, graph.offsets, graph.levels)
    )
    per_level = faiss.vector_to_array(graph.cum_nneighbor_per_level)
    fits = offsets.size == n + 1 and levels.size == n and 0 <= graph.entry_point < n
    fits = fits and offsets[0] == 0 and int(offsets[-1]) == neighbours.size
    fits = fits and levels.min() >= 1 and levels.max() < per_level.size
    fits = fits and per_level[0] == 0 and (np.diff(per_level) >= 0).all()
    fits = fits and 0 <= graph.max_level < levels[graph.entry_point]
    fits = fits and (np.diff(offsets.astype(np.int64)) == per_level[levels]).all()
    if not fits or neighbours.min(initial=0) < -1 or neighbours.max(initial=-1) >= n:
        raise ValueError("its graph leads beyond its vectors")


def _check_cells(faiss: Any, index: Any, n: int, d: int) -> None:
    """Check that the cells of an ivf index hold each vector once."""
    centres = faiss.downcast_index(index.quantizer)
    if index.nlist < 1 or index.code_size != 4 * d or index.invlists.nlist != index.nlist:
        raise ValueError("its cells are not all there")
    _check_flat(faiss, centres, index.nlist, d)
    lists = index.invlists
    sizes = [lists.list_size(cell) for cell in range(index.nlist)]
    if sum(sizes) != n:
        raise ValueError("its cells do not hold each vector once")
    ids = [
        faiss.rev_swig_ptr(lists.get_ids(cell), size).copy()
        for cell, size in enumerate(sizes)
        if size
    ]
    if not np.array_equal(np.sort(np.concatenate(ids)), np.arange(n)):
        raise ValueError("its cells do not hold each vector once")
