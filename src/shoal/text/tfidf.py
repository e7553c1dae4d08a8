"""TF-IDF and truncated SVD: t = (1 + ln tf)·(ln((1+n)/(1+df)) + 1), rows of length 1, F = T·V."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from shoal.errors import DataError, MissingExtraError
from shoal.kernels.arrays import Double, Float, State
from shoal.kernels.threads import one_blas_thread
from shoal.text.embedder import Embedder, Note, ignore


@dataclass(frozen=True)
class TfIdf(Embedder):
    """Vectors of the words in a text, without a language model: latent semantic analysis.

    Deerwester et al., JASIS 1990; weights as in scikit-learn. Words are runs of two letters or
    more, in lower case and without accents.

    Parameters
    ----------
    dimension : int
        The most numbers that a vector may have. It has no more than there are texts or words.
    seed : int
        Seed of the randomised SVD (Halko et al., SIAM Review 2011).
    """

    sees_all: ClassVar[bool] = True

    dimension: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise DataError(f"dimension={self.dimension}: give 1 or more")

    @property
    def name(self) -> str:
        """``tfidf(dimension=256, seed=0)``."""
        return f"tfidf(dimension={self.dimension}, seed={self.seed})"

    def bytes_to_embed(self, n_texts: int) -> int:
        """Estimate the five float64 matrices of the SVD, with ten columns more than are kept."""
        return 5 * 8 * n_texts * (min(self.dimension, n_texts) + 10)

    def fit(self, texts: Sequence[str], note: Note = ignore) -> FittedTfIdf:
        """Count the words of a collection and find the directions V of its vectors.

        Raises
        ------
        DataError
            No text holds a word.
        MissingExtraError
            scikit-learn is not installed.
        """
        words = _counter()
        try:
            T = words.fit_transform(texts)
        except ValueError as error:  # an empty vocabulary
            raise DataError(
                f"none of {len(texts):,} texts holds a word of two letters: tfidf has nothing to "
                "count"
            ) from error
        from sklearn.utils.extmath import randomized_svd

        d = min(self.dimension, *T.shape)
        note(f"{T.shape[1]:,} words")
        with one_blas_thread():
            _, _, V = randomized_svd(T, d, n_iter=7, random_state=self.seed)
        return FittedTfIdf(
            self.name,
            tuple(words.get_feature_names_out().tolist()),
            np.asarray(words.idf_, np.float64),
            np.ascontiguousarray(V.T, np.float32),
        )

    def embed(self, texts: Sequence[str], note: Note = ignore) -> Float:
        """Fit to all texts of a collection and embed them; for errors see `fit`."""
        return self.fit(texts, note).embed(texts, note)


@dataclass(frozen=True, eq=False)
class FittedTfIdf(Embedder):
    """TF-IDF that was fitted to a collection: any text gets a vector of the same space.

    Parameters
    ----------
    made_by : str
        Name and settings of the embedder that was fitted.
    words : (v,) tuple of str
        The words of the collection; a text's other words do not count.
    idf : (v,) float64
        ln((1+n)/(1+df)) + 1 for each word.
    directions : (v, d) float32
        V, the right singular vectors of the collection.
    """

    batch_size: ClassVar[int] = 10_000  # type: ignore[misc]

    made_by: str
    words: tuple[str, ...]
    idf: Double
    directions: Float

    @property
    def name(self) -> str:
        """Name and settings of the embedder that was fitted."""
        return self.made_by

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self.directions.shape[1])

    @cached_property
    def space(self) -> str:
        """The embedder's name and a hash of the words, their idf and the directions."""
        digest = hashlib.sha256("\n".join(self.words).encode())
        digest.update(np.ascontiguousarray(self.idf, "<f8").data)
        digest.update(np.ascontiguousarray(self.directions, "<f4").data)
        return f"{self.name}@{digest.hexdigest()[:32]}"

    def embed(self, texts: Sequence[str], note: Note = ignore) -> Float:
        """Embed texts; one without a word of the collection gets zeros."""
        T = self._counter.transform(texts).astype(np.float32)
        return np.ascontiguousarray(T @ self.directions, np.float32)

    @cached_property
    def _counter(self) -> Any:
        counter = _counter({word: column for column, word in enumerate(self.words)})
        counter.idf_ = self.idf
        return counter

    def state(self) -> State:
        """The arrays: the words as UTF-8 with a line end between them, idf, and directions."""
        words = np.frombuffer("\n".join(self.words).encode(), np.uint8)
        return {"words": words, "idf": self.idf, "directions": self.directions}

    @staticmethod
    def of_state(name: str, arrays: State) -> FittedTfIdf:
        """Make the embedder again from what `state` gave.

        Raises
        ------
        ValueError
            The arrays are not those of such an embedder.
        """
        if set(arrays) != {"words", "idf", "directions"}:
            raise ValueError(f"it holds {', '.join(sorted(arrays)) or 'nothing'}")
        codes, idf, directions = arrays["words"], arrays["idf"], arrays["directions"]
        if [a.dtype.str for a in (codes, idf, directions)] != ["|u1", "<f8", "<f4"]:
            raise ValueError("its arrays are of other types")
        words = tuple(codes.tobytes().decode().split("\n"))
        shapes = (codes.ndim, idf.shape, directions.shape[:1], directions.ndim)
        if shapes != (1, (len(words),), (len(words),), 2) or not directions.shape[1]:
            raise ValueError("its arrays do not belong together")
        if len(set(words)) < len(words) or not (
            np.isfinite(idf).all() and np.isfinite(directions).all()
        ):
            raise ValueError("it holds a word twice, or numbers that are not finite")
        return FittedTfIdf(name, words, idf, directions)


def _counter(vocabulary: dict[str, int] | None = None) -> Any:
    """scikit-learn's counter of words, for the words of a collection that it is yet to see."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        raise MissingExtraError("tfidf needs scikit-learn: pip install 'shoal[text]'") from None
    return TfidfVectorizer(sublinear_tf=True, strip_accents="unicode", vocabulary=vocabulary)
