"""Nothing is embedded twice, and nothing that is damaged is believed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.data.vectors import Vectors
from shoal.errors import EmbeddingError
from shoal.run import Run
from shoal.text.cache import default_folder

from .embedders import Counting, number

TITLES = ["a", "b", "c", "d", "e", "f", "g"]


def items(titles: list[str] = TITLES) -> pl.DataFrame:
    return pl.DataFrame({"item": range(len(titles)), "title": titles})


def embedded(embedder: Counting, titles: list[str] = TITLES, **how: object) -> Vectors:
    vectors = shoal.embed(items(titles), template="{title}", embedder=embedder, **how)
    np.testing.assert_array_equal(vectors.matrix, [number(t) for t in titles])
    return vectors


def files() -> list[Path]:
    return sorted(default_folder().rglob("*.safetensors"))


def test_what_was_embedded_is_not_asked_for_again() -> None:
    first, second = Counting(), Counting()
    assert embedded(first).notes == ()
    assert first.asked == [["a", "b"], ["c", "d"], ["e", "f"], ["g"]]
    assert embedded(second).notes == ("7 of 7 different texts were in the cache",)
    assert second.asked == []


def test_after_an_interruption_only_the_rest_is_asked_for() -> None:
    with pytest.raises(KeyboardInterrupt):
        embedded(Counting(fail_at=2))
    again = Counting()
    embedded(again)
    assert again.asked == [["e", "f"], ["g"]]


def test_a_changed_table_embeds_what_changed_and_equal_texts_once() -> None:
    embedded(Counting())
    again = Counting()
    embedded(again, ["x", "b", "x", "c", "y", "b"])
    assert again.asked == [["x", "y"]]


def test_another_embedder_has_vectors_of_its_own() -> None:
    embedded(Counting())
    other = Counting()
    other.name = "another"  # type: ignore[misc]
    embedded(other)
    assert len(other.asked) == 4


def test_the_small_files_become_one_that_holds_no_text() -> None:
    titles = [f"secret title {t}" for t in TITLES]
    embedded(Counting(), titles)
    assert len(files()) == 1
    assert b"secret" not in files()[0].read_bytes()
    embedded(Counting(), [*titles, "new"])
    assert len(files()) == 1
    assert {f.name for f in files()[0].parent.iterdir()} == {"embedder.txt", files()[0].name}


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_file_is_embedded_again_and_that_is_said(damage: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        embedded(Counting(fail_at=2))  # leaves two files
    file = files()[0]
    content = bytearray(file.read_bytes())
    content[-1] ^= damage == "flip"
    file.write_bytes({"cut": content[:-5], "flip": content, "empty": b""}[damage])
    again = Counting()
    notes = embedded(again).notes
    assert sum(map(len, again.asked)) == 5
    assert notes[0] == "damaged files of the cache, thrown away: 1"
    assert embedded(Counting()).notes == ("7 of 7 different texts were in the cache",)


def test_what_a_killed_process_left_is_no_vector_and_is_swept_away() -> None:
    with pytest.raises(KeyboardInterrupt):
        embedded(Counting(fail_at=1))
    left = files()[0].with_name("0123.safetensors.99.tmp")
    left.write_bytes(b"half")
    old = time.time() - 7200
    os.utime(left, (old, old))
    embedded(Counting())
    assert not left.exists()


def test_a_cache_can_be_elsewhere_or_nowhere(tmp_path: Path) -> None:
    embedded(Counting(), cache=tmp_path / "here")
    assert not default_folder().exists()
    assert list((tmp_path / "here").rglob("*.safetensors"))
    for _ in range(2):
        nowhere = Counting()
        embedded(nowhere, cache="none")
        assert len(nowhere.asked) == 4


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    embedder = Counting()
    with pytest.raises(EmbeddingError, match=r"cannot be written.*--cache none"):
        embedded(embedder, cache=tmp_path / "file")
    assert embedder.asked == []


def test_a_model_that_changed_under_its_name_is_an_error() -> None:
    embedded(Counting())
    with pytest.raises(EmbeddingError, match="vectors of 2 numbers, and before of 3"):
        embedded(Counting(width=2), [*TITLES, "new"])


def test_vectors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MemoryError, match="7 vectors of 3 numbers take about 252 B"):
        embedded(Counting(), run=Run(memory=200))


def test_progress_counts_texts() -> None:
    class Counter:
        total: float | None = None
        done = 0.0

        def step(self, label: str, total: float | None = None) -> Counter:
            assert label == "embed: counting"
            self.total = total
            return self

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def advance(self, amount: float = 1) -> None:
            self.done += amount

        def note(self, text: str) -> None:
            pass

    with pytest.raises(KeyboardInterrupt):
        embedded(Counting(fail_at=2))
    counter = Counter()
    embedded(Counting(), run=Run(progress=counter))
    assert (counter.done, counter.total) == (7, 7)
