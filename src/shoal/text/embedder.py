"""What turns texts into vectors, and how a person names one: ``tfidf``, ``http://host/v1#model``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shoal.errors import DataError
from shoal.run import Run

Matrix: TypeAlias = NDArray[np.float32]
Note: TypeAlias = Callable[[str], None]

SENTENCES = "sentence-transformers:"
KINDS = f"tfidf, {SENTENCES}NAME_OR_FOLDER, https://HOST/v1#MODEL, a .parquet or a .npy file"


def ignore(note: str) -> None:
    """Show a note to nobody."""


class Embedder(ABC):
    """Turns texts into vectors.

    Attributes
    ----------
    name : str
        The model and every setting that changes a vector: vectors are cached under it.
    sees_all : bool
        Whether a text's vector depends on the other texts. Such an embedder gets all of them in
        one call, and is not cached.
    batch_size : int
        How many texts an embedder of the other sort gets in one call; after each call the
        vectors are on disk.
    """

    sees_all: ClassVar[bool] = False
    batch_size: int = 256

    @property
    @abstractmethod
    def name(self) -> str:
        """The model and its settings."""

    def bytes_to_embed(self, n_texts: int) -> int:
        """Estimate what one that sees all texts allocates, to refuse in time what does not fit."""
        return 0

    @abstractmethod
    def embed(self, texts: Sequence[str], note: Note = ignore) -> Matrix:
        """Embed texts, none of them blank.

        Parameters
        ----------
        texts : sequence of str
        note : callable
            Takes a few words to show beside the progress bar ("waiting 20 s").

        Returns
        -------
        (len(texts), d) float32
            Not normalised, unless the model does it.

        Raises
        ------
        EmbeddingError
        """


def open_embedder(spec: str, run: Run | None = None, **settings: Any) -> Embedder:
    """Make the embedder that `spec` names.

    Parameters
    ----------
    spec : str
        ``tfidf``, ``sentence-transformers:NAME_OR_FOLDER`` or ``https://HOST/v1#MODEL``.
    run : Run, optional
        Its seed is that of TF-IDF, its device that of a language model.
    **settings
        Of that embedder (``dimension``, ``batch_size``, …); those that are None keep its default.

    Raises
    ------
    DataError
        No such embedder, or it has no such setting.
    MissingExtraError
    """
    from shoal.text.endpoint import Endpoint
    from shoal.text.sentences import SentenceTransformers
    from shoal.text.tfidf import TfIdf

    run = run or Run()
    kind: Any
    own: dict[str, Any]
    if spec == "tfidf":
        kind, own = TfIdf, {"seed": run.seed}
    elif spec.startswith(SENTENCES):
        own = {"model": spec.removeprefix(SENTENCES), "device": run.torch_device or "cpu"}
        kind = SentenceTransformers
    elif spec.startswith(("http://", "https://")):
        url, _, model = spec.partition("#")
        kind, own = Endpoint, {"url": url, "model": model}
    else:
        raise DataError(f"no such embedder {spec!r}: write {KINDS}")
    given = {name: value for name, value in settings.items() if value is not None}
    known = {f.name for f in fields(kind) if not f.name.startswith("_")} - set(own)
    if odd := set(given) - known:
        raise DataError(
            f"{spec} has no setting {min(odd)!r}; it has: {', '.join(sorted(known)) or 'none'}"
        )
    made: Embedder = kind(**own, **given)
    return made
