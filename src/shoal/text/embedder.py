"""`Embedder`: the base class of what turns texts into vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

from shoal.kernels.arrays import Float, State

Note: TypeAlias = Callable[[str], None]

SENTENCES = "sentence-transformers:"  # names of local language models begin with this


def ignore(note: str) -> None:
    """Take a note and show it nowhere."""


class Embedder(ABC):
    """Turns texts into vectors.

    Attributes
    ----------
    name : str
        The model and every setting that changes a vector; the cache keeps vectors by this name.
    sees_all : bool
        Whether the vector of a text depends on the other texts. Such an embedder gets all texts
        in one call, and its vectors are not cached.
    batch_size : int
        How many texts any other embedder gets in one call. After each call its vectors are
        written to the cache.
    """

    sees_all: ClassVar[bool] = False
    batch_size: int = 256

    @property
    @abstractmethod
    def name(self) -> str:
        """The model and its settings."""

    @property
    def space(self) -> str:
        """What two vectors have in common if they may be compared; empty if nothing can tell.

        The same text has the same vector wherever this is the same.
        """
        return "" if self.sees_all else self.name

    def fit(self, texts: Sequence[str], note: Note = ignore) -> Embedder:
        """Fit to all texts of a collection, if the embedder `sees_all`.

        Returns
        -------
        Embedder
            One that embeds further texts in the same space; this object if there is none.
        """
        return self

    def state(self) -> State:
        """The arrays of a fitted embedder, which are kept beside its vectors; else empty."""
        return {}

    def bytes_to_embed(self, n_texts: int) -> int:
        """Estimate what an embedder that `sees_all` allocates, to refuse too much in time."""
        return 0

    @abstractmethod
    def embed(self, texts: Sequence[str], note: Note = ignore) -> Float:
        """Embed texts, none of them blank.

        Parameters
        ----------
        texts : sequence of str
        note : callable
            Is called with a few words to show beside the progress bar ("waiting 20 s").

        Returns
        -------
        (len(texts), d) float32
            Not normalised, unless the model does it.

        Raises
        ------
        EmbeddingError
            A text got no vector.
        """
