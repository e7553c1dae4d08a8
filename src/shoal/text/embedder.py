"""What turns texts into vectors, and how a person names one: ``tfidf``, ``http://host/v1#model``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

from shoal.kernels.arrays import Float

Note: TypeAlias = Callable[[str], None]

SENTENCES = "sentence-transformers:"


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
    def embed(self, texts: Sequence[str], note: Note = ignore) -> Float:
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
