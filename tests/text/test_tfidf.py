"""TF-IDF and SVD against scikit-learn, numpy, and a toy that a person can check."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.errors import DataError
from shoal.run import Run
from shoal.text.tfidf import FittedTfIdf, TfIdf

pytest.importorskip("sklearn")
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

WORDS = (
    *("river", "boat", "ship", "storm", "island", "ghost", "castle"),
    *("knight", "dragon", "sword", "planet", "robot", "laser"),
)


def texts(n: int = 60) -> list[str]:
    rng = np.random.default_rng(4)
    return [" ".join(rng.choice(WORDS, rng.integers(2, 9))) for _ in range(n)]


def test_it_is_scikit_learn_with_sublinear_counts() -> None:
    T = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode").fit_transform(texts())
    expected = TruncatedSVD(5, n_iter=7, random_state=3).fit_transform(T)
    found = TfIdf(5, seed=3).embed(texts())
    sign = np.sign((found * expected).sum(axis=0))  # of a singular vector it is anyone's choice
    np.testing.assert_allclose(found, expected * sign, rtol=1e-4, atol=1e-5)


def test_products_of_the_vectors_are_the_best_of_their_rank() -> None:
    """FFᵀ is the closest matrix of rank d to TTᵀ (Eckart and Young), T weighted by hand here."""
    counts = np.array([[t.split().count(w) for w in WORDS] for t in texts()], float)
    idf = np.log((1 + len(counts)) / (1 + (counts > 0).sum(axis=0))) + 1
    T = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * idf
    T /= np.linalg.norm(T, axis=1, keepdims=True)
    U, S, _ = np.linalg.svd(T, full_matrices=False)
    F = TfIdf(6).embed(texts())
    np.testing.assert_allclose(F @ F.T, (U[:, :6] * S[:6] ** 2) @ U[:, :6].T, atol=1e-3)
    F = TfIdf(len(WORDS)).embed(texts())
    np.testing.assert_allclose(F @ F.T, T @ T.T, atol=1e-5)


def test_nearest_are_those_that_share_words() -> None:
    films = pl.DataFrame(
        {
            "item": [7, 3, 9, 1, 5, 8],
            "title": [
                "the dragon and a knight", "a knight slays a dragon", "robot on a far planet",
                "the planet of a robot", "storm at sea", "boat in a storm",
            ],
        }
    )  # fmt: skip
    vectors = shoal.embed(films, template="{title}")
    assert vectors.ids.take(range(6)) == [1, 3, 5, 7, 8, 9]
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    likeness = unit @ unit.T - 2 * np.eye(6)
    nearest = dict(
        zip(vectors.ids.take(range(6)), vectors.ids.take(likeness.argmax(axis=1)), strict=True)
    )
    assert nearest == {1: 9, 9: 1, 3: 7, 7: 3, 5: 8, 8: 5}


def test_a_seed_gives_the_same_numbers_again_and_accents_do_not_count() -> None:
    np.testing.assert_array_equal(TfIdf(4, seed=1).embed(texts()), TfIdf(4, seed=1).embed(texts()))
    F = TfIdf(3).embed(["café noir", "CAFE noir", "thé"])
    np.testing.assert_allclose(F[0], F[1], atol=1e-6)


@pytest.mark.parametrize(("n", "expected"), [(60, 13), (5, 5)])
def test_no_more_dimensions_than_words_or_texts_and_that_is_said(n: int, expected: int) -> None:
    frame = pl.DataFrame({"item": range(n), "text": texts(n)})
    vectors = shoal.embed(frame, template="{text}")
    assert vectors.dimension == expected
    assert any(f"{expected} dimensions, not 256" in note for note in vectors.notes)
    assert not shoal.embed(frame, template="{text}", embedder=TfIdf(4)).notes


def test_what_does_not_fit_is_refused_before_it_is_made() -> None:
    frame = pl.DataFrame({"item": range(60), "text": texts()})
    with pytest.raises(MemoryError, match=r"tfidf\(dimension=4, seed=0\) of 60 texts take about"):
        shoal.embed(frame, template="{text}", embedder=TfIdf(4), run=Run(memory=30_000))


def test_a_single_word_is_enough_and_none_is_an_error() -> None:
    assert TfIdf().embed(["word", "word word"]).shape == (2, 1)
    with pytest.raises(DataError, match="none of 2 texts holds a word"):
        TfIdf().embed(["?", "!"])
    with pytest.raises(DataError, match="dimension=0"):
        TfIdf(0)


def test_a_text_that_comes_later_is_projected_as_by_scikit_learn() -> None:
    """The counts of the fit and its directions: TruncatedSVD.transform of TfidfVectorizer's."""
    counter = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode")
    svd = TruncatedSVD(5, n_iter=7, random_state=3).fit(counter.fit_transform(texts()))
    later = ["a ghost ship and a dragon", "robot Robot ROBOT storm", "unheard of words"]
    expected = svd.transform(counter.transform(later))
    fitted = TfIdf(5, seed=3).fit(texts())
    sign = np.sign((fitted.directions.T * svd.components_).sum(axis=1))
    found = fitted.embed(later)
    np.testing.assert_allclose(found * sign, expected, rtol=1e-4, atol=1e-5)
    assert not found[2].any()


def test_a_fit_is_the_same_after_it_was_kept_and_another_has_another_space() -> None:
    fitted = TfIdf(5, seed=3).fit(texts())
    kept = FittedTfIdf.of_state(fitted.name, fitted.state())
    assert kept.space == fitted.space
    assert kept.space.startswith("tfidf(dimension=5, seed=3)@")
    np.testing.assert_array_equal(kept.embed(texts()[:7]), fitted.embed(texts())[:7])
    assert TfIdf(5, seed=3).fit(texts(59)).space != fitted.space


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"idf": np.ones(3)}, "do not belong together"),
        ({"words": np.frombuffer(b"a\nb", np.uint8)}, "do not belong together"),
        ({"words": np.frombuffer(b"\xff", np.uint8)}, "decode"),
        ({"words": np.frombuffer("\n".join(["x"] * 13).encode(), np.uint8)}, "a word twice"),
        ({"idf": np.full(13, np.nan)}, "not finite"),
        ({"directions": np.ones((13, 5))}, "of other types"),
        ({"directions": np.ones((13, 0), np.float32)}, "do not belong together"),
        ({"more": np.ones(1)}, "it holds directions, idf, more, words"),
    ],
)
def test_arrays_that_are_no_fit_are_refused(change: dict[str, np.ndarray], complaint: str) -> None:
    arrays = TfIdf(5).fit(texts()).state()
    assert len(arrays["idf"]) == len(WORDS) == 13
    with pytest.raises(ValueError, match=complaint):
        FittedTfIdf.of_state("tfidf", arrays | change)
