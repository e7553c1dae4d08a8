"""`SentenceTransformers`: language models that run on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from shoal.errors import DataError, EmbeddingError, MissingExtraError
from shoal.kernels.arrays import Float
from shoal.text.embedder import SENTENCES, Embedder, Note, ignore
from shoal.web import printable

_PIECE = 1 << 20  # bytes: of larger files, only the first and the last piece are hashed


@dataclass
class SentenceTransformers(Embedder):
    """A model of sentence-transformers, from a folder or by its name on Hugging Face.

    Parameters
    ----------
    model : str
        A folder, or the name of a model, which is downloaded when it is first used.
    dimension : int, optional
        Keep only this many numbers, the first ones of each vector, for models trained for it
        (Kusupati et al., NeurIPS 2022).
    batch_size : int
        Number of texts between two writes to the cache. The model reads 32 at a time.
    device : str
        Name of the device, as torch names it.
    """

    model: str
    dimension: int | None = None
    batch_size: int = 256
    device: str = "cpu"
    _name: str = field(default="", init=False, repr=False)

    def __post_init__(self) -> None:
        for what in ("dimension", "batch_size"):
            if (value := getattr(self, what)) is not None and value < 1:
                raise DataError(f"{what}={value}: give 1 or more")
        folder = Path(self.model).expanduser()
        if self.model and folder.is_dir():
            self.model = str(folder)
            self._name = f"{SENTENCES}{folder.resolve().name}@{_fingerprint(folder)}"
        elif not self.model or self.model.startswith(("/", ".", "~")):
            raise DataError(f"{SENTENCES}{self.model}: there is no such folder")
        else:
            self._name = SENTENCES + self.model
        if self.dimension:
            self._name += f"[:{self.dimension}]"
        with suppress(ImportError):  # must be loaded before numba's threads start
            import torch  # noqa: F401

    @property
    def name(self) -> str:
        """The model's name; for a folder its own name and a hash of its content."""
        return self._name

    @cached_property
    def _network(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging
        except ImportError:
            raise MissingExtraError(
                "language models need sentence-transformers: pip install 'shoal[llm]'"
            ) from None
        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            return SentenceTransformer(self.model, device=self.device, truncate_dim=self.dimension)
        except Exception as error:  # a folder and a download can be wrong in many ways
            why = printable((str(error).strip() or type(error).__name__).splitlines()[0])
            raise EmbeddingError(f"{SENTENCES}{self.model} cannot be loaded: {why}") from error
        finally:
            if shown:
                logging.enable_progress_bar()

    def embed(self, texts: Sequence[str], note: Note = ignore) -> Float:
        """Embed texts; the model cuts off what is longer than it reads."""
        if "_network" not in self.__dict__:
            note("loading the model")
        network = self._network
        note("")
        return np.asarray(network.encode(list(texts), show_progress_bar=False), np.float32)


def _fingerprint(folder: Path) -> str:
    """Hash the names, sizes and contents of files; of large ones only both ends."""
    digest = hashlib.sha256()
    for file in sorted(f for f in folder.rglob("*") if f.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder)}\0{size}\0".encode())
        with file.open("rb") as content:
            digest.update(content.read(_PIECE))
            if size > _PIECE:
                content.seek(max(size - _PIECE, _PIECE))
                digest.update(content.read())
    return digest.hexdigest()[:12]
