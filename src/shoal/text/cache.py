"""Vectors kept on disk by embedder and text, so that only new texts are embedded.

Each embedder has a folder. Its files are named by the hash of their content: ``keys`` (n, 32)
bytes, the sha256 of the texts, and ``vectors`` (n, d). A file is written under another name and
then moved, so that it is whole or not there; one whose hash is wrong is thrown away. Texts are not
kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from shoal.errors import EmbeddingError
from shoal.kernels.arrays import Float

_ENDING = ".safetensors"
_SMALL = 1 << 25  # bytes: files below this size are joined at the end
_STALE = 3600.0  # seconds after which an unfinished file is taken for abandoned


def default_folder() -> Path:
    """``$XDG_CACHE_HOME/shoal/embeddings``, or ``~/.cache/shoal/embeddings``."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "shoal" / "embeddings"


def key_of(text: str) -> bytes:
    """The key under which the vector of a text is kept: its sha256."""
    return hashlib.sha256(text.encode()).digest()


class VectorCache:
    """The vectors of one embedder.

    Parameters
    ----------
    root : Path
        Folder of all caches; it is made if it is not there.
    embedder : str
        Name of the embedder, with every setting that changes a vector.

    Attributes
    ----------
    folder : Path
        Folder of this embedder.
    damaged : int
        Number of files that were thrown away by `read`.
    """

    def __init__(self, root: Path, embedder: str) -> None:
        self.folder = root / hashlib.sha256(embedder.encode()).hexdigest()[:16]
        self.damaged = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write("embedder.txt", f"{embedder}\n".encode())
        except OSError as error:
            raise EmbeddingError(
                f"the cache {root} cannot be written ({error.strerror or error}): name another "
                "folder with --cache, or --cache none"
            ) from error

    def read(self, keys: Collection[bytes]) -> dict[bytes, Float]:
        """Give the vectors, (d,) each, of those keys that are in the cache."""
        known: dict[bytes, Float] = {}
        for file_keys, vectors in self._files():
            rows = [i for i, key in enumerate(file_keys) if key in keys and key not in known]
            known.update(zip([file_keys[i] for i in rows], vectors[rows], strict=True))
        return known

    def add(self, keys: Sequence[bytes], vectors: Float) -> None:
        """Keep vectors (n, d); they are on disk when this returns."""
        names = np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), 32)
        content = save_arrays({"keys": names, "vectors": np.ascontiguousarray(vectors)})
        self._write(hashlib.sha256(content).hexdigest()[:32] + _ENDING, content)

    def join(self) -> None:
        """Make one file of the small ones, and remove unfinished files of killed processes."""
        for file in self.folder.glob("*.tmp"):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _STALE:
                    file.unlink()
        small = [f for f in self.folder.glob(f"*{_ENDING}") if f.stat().st_size < _SMALL]
        if len(small) < 2:
            return
        whole: dict[bytes, Float] = {}
        for keys, vectors in self._files(small):
            whole.update(zip(keys, vectors, strict=True))
        if len({vector.size for vector in whole.values()}) == 1:
            self.add(list(whole), np.stack(list(whole.values())))
            for file in small:
                file.unlink(missing_ok=True)

    def _files(self, files: Sequence[Path] | None = None) -> Iterator[tuple[list[bytes], Float]]:
        """The keys and vectors of some or all files; damaged files are removed and counted."""
        for file in files if files is not None else sorted(self.folder.glob(f"*{_ENDING}")):
            try:
                content = file.read_bytes()
            except FileNotFoundError:  # another process has joined it
                continue
            try:
                if hashlib.sha256(content).hexdigest()[:32] != file.stem:
                    raise ValueError("altered")
                arrays = load_arrays(content)
                keys, vectors = [k.tobytes() for k in arrays["keys"]], arrays["vectors"]
            except (SafetensorError, ValueError, KeyError):
                self.damaged += 1
                file.unlink(missing_ok=True)
                continue
            yield keys, vectors

    def _write(self, name: str, content: bytes) -> None:
        unfinished = self.folder / f"{name}.{os.getpid()}.tmp"
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.folder / name)
        finally:
            unfinished.unlink(missing_ok=True)
