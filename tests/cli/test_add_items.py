"""``add-items``: new items in the space of the model's vectors, and in no other."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array

import shoal
from shoal.base.semantic import VectorRecommender
from shoal.errors import DataError
from shoal.models.l3ae import L3AE

from ..text.embedders import Counting

pytest.importorskip("sklearn")

Shoal = Callable[..., tuple[int, str, str]]
WORDS = (
    *("red", "blue", "green", "wool", "cotton", "silk", "hat", "coat"),
    *("shoe", "scarf", "warm", "light", "sport", "rain", "sun"),
)
NEW = "n1,red wool scarf warm\nn2,sport shoe light sun\n"


@pytest.fixture
def shop(tmp_path: Path, shoal_command: Shoal) -> Path:
    """A model of 60 things that reads their titles, in vectors of TF-IDF; two more come later."""
    draw = random.Random(1)
    titles = [f"g{k},{' '.join(draw.choices(WORDS, k=4))}\n" for k in range(60)]
    (tmp_path / "items.csv").write_text("item,title\n" + "".join(titles))
    (tmp_path / "all.csv").write_text("item,title\n" + "".join(titles) + NEW)
    (tmp_path / "new.csv").write_text("item,title\n" + NEW)
    log = [f"u{u},g{i}\n" for u in range(120) for i in draw.sample(range(60), 8)]
    (tmp_path / "log.csv").write_text("user,item\n" + "".join(log))
    embed(shoal_command, tmp_path, "items.csv", "v.parquet", "--template", "{title}")
    command = ("train", tmp_path / "log.csv", "--vectors", tmp_path / "v.parquet")
    code, _, err = shoal_command(*command, "--model", "l3ae", "--out", tmp_path / "m")
    assert code == 0, err
    return tmp_path


def embed(shoal_command: Shoal, folder: Path, items: str, out: str, *options: object) -> str:
    code, text, err = shoal_command("embed", folder / items, "--out", folder / out, *options)
    assert code == 0, err
    return text


def add(shoal_command: Shoal, folder: Path, vectors: str) -> tuple[int, str, str]:
    return shoal_command("add-items", folder / "m", folder / vectors, "--out", folder / "larger")


def test_vectors_of_tfidf_that_was_fitted_anew_are_refused(
    shop: Path, shoal_command: Shoal
) -> None:
    embed(shoal_command, shop, "all.csv", "anew.parquet", "--template", "{title}")
    code, _, err = add(shoal_command, shop, "anew.parquet")
    assert code == 2
    assert "60 of the 60 items that the model has already have other vectors" in err
    assert "shoal embed NEW_ITEMS --with VECTORS" in err
    assert err.count("\n") == 1
    assert not (shop / "larger").exists()


def test_new_vectors_alone_are_refused_by_the_name_of_their_space(
    shop: Path, shoal_command: Shoal
) -> None:
    """No item of the model is in the file; the model remembers which fit made its vectors."""
    words = "a,red wool\nb,blue silk\nc,green hat\nd,sport shoe\ne,light coat\nf,warm scarf\n"
    (shop / "few.csv").write_text("item,title\n" + words + NEW)
    text = embed(shoal_command, shop, "few.csv", "few.parquet", "--template", "{title}")
    width = shoal.Vectors.read(shop / "v.parquet").dimension
    few = shoal.Vectors.read(shop / "few.parquet")
    wide = np.zeros((len(few), width), np.float32)
    wide[:, : few.dimension] = few.matrix
    shoal.Vectors(few.ids, wide, few.embedder, space=few.space).write(shop / "few.parquet")
    code, _, err = add(shoal_command, shop, "few.parquet")
    assert code == 2, text
    assert "of another space than the model's (tfidf(dimension=256, seed=0)@" in err


@pytest.mark.parametrize("items", ["new.csv", "all.csv"])
def test_two_new_items_get_vectors_of_the_models_space(
    shop: Path, shoal_command: Shoal, items: str
) -> None:
    """The documented way; the result is the fit to a catalogue that had both from the start."""
    embed(shoal_command, shop, items, "more.parquet", "--with", shop / "v.parquet")
    code, text, err = add(shoal_command, shop, "more.parquet")
    assert code == 0, err
    assert "2 items added, 62 in all" in text
    before, more = (shoal.Vectors.read(shop / f"{n}.parquet") for n in ("v", "more"))
    assert more.space == before.space
    if items == "all.csv":  # the texts of old items have the vectors that they had
        np.testing.assert_array_equal(more.onto(before.ids)[0], before.matrix)
    log = shoal.read(shop / "log.csv", vectors=shop / "v.parquet")
    both = {i: row for v in (before, more) for i, row in zip(v.ids.series, v.matrix, strict=True)}
    whole = log.with_vectors(list(both), np.stack(list(both.values())), add_items=True)
    expected = L3AE().fit(whole)
    larger = shoal.load(shop / "larger")
    histories = np.eye(62, dtype=np.float32)[larger.items.lookup(["g0", "g7", "g31"])]
    np.testing.assert_allclose(
        larger.score(csr_array(histories)), expected.score(csr_array(histories)), atol=1e-4
    )


def test_a_second_addition_goes_on_from_the_first(shop: Path, shoal_command: Shoal) -> None:
    """The larger model knows its space still, and the new file brings its embedder along."""
    embed(shoal_command, shop, "new.csv", "more.parquet", "--with", shop / "v.parquet")
    add(shoal_command, shop, "more.parquet")
    (shop / "third.csv").write_text("item,title\nn3,green silk\n")
    embed(shoal_command, shop, "third.csv", "third.parquet", "--with", shop / "more.parquet")
    command = ("add-items", shop / "larger", shop / "third.parquet", "--out", shop / "third")
    code, text, err = shoal_command(*command, "--json")
    assert code == 0, err
    assert json.loads(text)["items"] == 63
    embed(shoal_command, shop, "all.csv", "anew.parquet", "--template", "{title}")
    code, _, err = shoal_command(
        *("add-items", shop / "larger", shop / "anew.parquet", "--out", shop / "x")
    )
    assert code == 2


def test_a_changed_title_is_said_and_the_model_keeps_its_vector(
    shop: Path, shoal_command: Shoal
) -> None:
    table = pl.read_csv(shop / "all.csv").with_columns(
        title=pl.when(pl.col("item") == "g3").then(pl.lit("rain rain")).otherwise("title")
    )
    table.write_csv(shop / "changed.csv")
    embed(shoal_command, shop, "changed.csv", "more.parquet", "--with", shop / "v.parquet")
    code, text, err = add(shoal_command, shop, "more.parquet")
    assert code == 0, err
    assert "1 known items have other vectors" in text
    small, larger = shoal.load(shop / "m"), shoal.load(shop / "larger")
    assert isinstance(small, VectorRecommender)
    assert isinstance(larger, VectorRecommender)
    old, new = (m.item_vectors[m.items.lookup(["g3"])] for m in (small, larger))
    np.testing.assert_array_equal(old, new)


def test_a_text_without_a_known_word_has_no_vector_and_that_is_said(
    shop: Path, shoal_command: Shoal
) -> None:
    (shop / "odd.csv").write_text("item,title\nn1,red hat\nn2,zzz qqq\n")
    text = embed(shoal_command, shop, "odd.csv", "odd.parquet", "--with", shop / "v.parquet")
    assert "1 texts hold no word that the embedder knows" in text
    _, text, _ = add(shoal_command, shop, "odd.parquet")
    assert "1 items added" in text
    assert "1 have a vector of zeros and are left out" in text


def test_vectors_in_python_are_compared_too(shop: Path, shoal_command: Shoal) -> None:
    model = shoal.load(shop / "m")
    with pytest.raises(DataError, match="not of the model's space: 60 of the 60"):
        model.add_items(shoal.embed(shop / "all.csv", template="{title}"))
    more = shoal.embed(shop / "all.csv", like=shop / "v.parquet")
    assert model.add_items(more).n_items == 62


def test_other_peoples_vectors_are_compared_by_their_numbers(
    shop: Path, shoal_command: Shoal
) -> None:
    """No space is named in such files; rounding is no other space, a turned one is."""
    vectors = shoal.Vectors.read(shop / "v.parquet")
    rng = np.random.default_rng(0)
    noise = 1 + 1e-4 * rng.normal(size=vectors.matrix.shape)
    turned = np.linalg.qr(rng.normal(size=(vectors.dimension,) * 2))[0]
    new = rng.normal(size=(1, vectors.dimension))
    for matrix, code in ((vectors.matrix * noise, 0), (vectors.matrix @ turned, 2)):
        rows = np.vstack([matrix, new]).astype(np.float32)
        ids = [*vectors.ids.series, "n1"]
        pl.DataFrame({"item": ids, "vector": rows}).write_parquet(shop / "x.parquet")
        assert add(shoal_command, shop, "x.parquet")[0] == code


def test_where_nothing_can_be_compared_that_is_said(shop: Path, shoal_command: Shoal) -> None:
    width = shoal.Vectors.read(shop / "v.parquet").dimension
    frame = pl.DataFrame({"item": ["n1"], "vector": np.ones((1, width), np.float32)})
    frame.write_parquet(shop / "x.parquet")
    code, text, err = add(shoal_command, shop, "x.parquet")
    assert code == 0, err
    assert "nothing shows whether the vectors are of its space" in text


# -- `embed --with` -------------------------------------------------------------------------


def test_what_cannot_be_embedded_like_that_is_one_line(shop: Path, shoal_command: Shoal) -> None:
    beside = shop / "v.embedder.safetensors"
    whole = beside.read_bytes()
    np.save(shop / "v.npy", np.ones((2, 3)))
    frame = pl.DataFrame({"item": ["a"], "vector": [[1.0, 2.0]]})
    frame.write_parquet(shop / "x.parquet")
    v = shop / "v.parquet"

    def refused(with_file: Path, complaint: str, *options: object, out: str = "o.parquet") -> None:
        command = ("embed", shop / "new.csv", "--with", with_file, "--out", shop / out)
        code, _, err = shoal_command(*command, *options)
        assert (code, err.count("\n")) == (2, 1), err
        assert complaint in err

    refused(shop / "none.parquet", "there is no such file")
    refused(shop / "v.npy", "name the Parquet file")
    refused(shop / "x.parquet", "nothing says which embedder made these vectors")
    refused(v, "says all settings", "--dimension", 3)
    refused(v, "made by tfidf", "--embedder", "http://127.0.0.1:9/v1#m")
    refused(v, "is read by this command", out="v.parquet")
    for damaged in (whole[:100], b"", whole[:-4] + b"\0\0\0\0", b"x" * 1000):
        beside.write_bytes(damaged)
        refused(v, "v.embedder.safetensors")
    beside.unlink()
    refused(v, "has no embedder beside it")


def test_a_language_model_is_named_again_and_must_be_the_same(tmp_path: Path) -> None:
    frame = pl.DataFrame({"item": [1, 2], "title": ["red", "blue"]})
    first = shoal.embed(frame, template="{title}", embedder=Counting(), cache="none")
    first.write(tmp_path / "v.parquet")
    assert not (tmp_path / "v.embedder.safetensors").exists()
    with pytest.raises(DataError, match=r"made by counting; name it once more \(--embedder\)"):
        shoal.embed(frame, like=tmp_path / "v.parquet")

    class Other(Counting):
        name = "other"  # type: ignore[assignment]

    with pytest.raises(DataError, match="made by counting, not by other"):
        shoal.embed(frame, like=tmp_path / "v.parquet", embedder=Other())
    again = shoal.embed(frame, like=tmp_path / "v.parquet", embedder=Counting(), cache="none")
    np.testing.assert_array_equal(again.matrix, first.matrix)
    assert again.template == "{title}"


def test_no_file_of_the_user_is_replaced(shop: Path, shoal_command: Shoal) -> None:
    mine = b"my own notes"
    (shop / "w.embedder.safetensors").write_bytes(mine)
    pl.DataFrame({"item": ["a"]}).write_parquet(shop / "x.parquet")
    before = (shop / "x.parquet").read_bytes()
    for out, complaint in (("w.parquet", "holds no embedder of shoal's"), ("x.parquet", "exists")):
        command = ("embed", shop / "new.csv", "--template", "{title}", "--out", shop / out)
        code, _, err = shoal_command(*command)
        assert code == 2
        assert complaint in err
    assert (shop / "w.embedder.safetensors").read_bytes() == mine
    assert (shop / "x.parquet").read_bytes() == before
    code, _, err = shoal_command(*command, "--overwrite")
    assert code == 0, err
