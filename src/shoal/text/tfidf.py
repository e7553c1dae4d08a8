"""TF-IDF and truncated SVD: t = (1 + ln tf)·(ln((1+n)/(1+df)) + 1), rows of length 1, F = UΣ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from shoal.errors import DataError, MissingExtraError
from shoal.kernels.arrays import Float
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

    def embed(self, texts: Sequence[str], note: Note = ignore) -> Float:
        """Embed all texts of a collection.

        Raises
        ------
        DataError
            No text holds a word.
        MissingExtraError
            scikit-learn is not installed.
        """
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
            from sklearn.utils.extmath import randomized_svd
        except ImportError:
            raise MissingExtraError("tfidf needs scikit-learn: pip install 'shoal[text]'") from None
        try:
            words = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode")
            T = words.fit_transform(texts)
        except ValueError as error:  # an empty vocabulary
            raise DataError(
                f"none of {len(texts):,} texts holds a word of two letters: tfidf has nothing to "
                "count"
            ) from error
        d = min(self.dimension, *T.shape)
        note(f"{T.shape[1]:,} words")
        with one_blas_thread():  # LAPACK calls BLAS for each of few columns
            U, S, _ = randomized_svd(T, d, n_iter=7, random_state=self.seed)
        return np.ascontiguousarray(U * S, np.float32)
