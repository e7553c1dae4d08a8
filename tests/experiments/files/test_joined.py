"""A given split that is taken as one log, and values that depend on one another."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from shoal.data.read import read
from shoal.errors import DataError
from shoal.experiments.files.data import make_split
from shoal.experiments.files.hashes import matrix_hash
from shoal.experiments.files.reading import read_experiment
from tests.experiments.files.loading import load_data

Written = Callable[[str], Path]
JOINED = """
name: small
data: {name: films, train: a.csv, test: b.csv, joined: true}
split: {kind: strong, test: 0.2, validation: 0}
models: [ease]
"""


@pytest.fixture(autouse=True)
def halves(folder: Path, rows: pl.DataFrame) -> None:
    rows[:400].write_csv(folder / "a.csv")
    rows[400:].write_csv(folder / "b.csv")


def test_a_joined_split_is_the_log_of_which_it_was_made(written: Written, folder: Path) -> None:
    experiment = read_experiment(written(JOINED))
    (films,) = load_data(experiment)
    whole = read(folder / "ratings.csv")
    assert films.hashes["matrix"] == matrix_hash(whole)
    assert films.facts["interactions"] == 540
    assert set(films.hashes["raw"]) == {"train", "test"}
    parts = make_split(films, experiment, 0)
    assert parts.test.n_users == 12  # a fifth of 60


def test_without_joined_the_files_say_what_is_held_out(written: Written) -> None:
    with pytest.raises(DataError, match=r"split\.(kind|test)"):
        read_experiment(written(JOINED.replace(", joined: true", "")))


def test_joined_is_refused_where_there_is_one_file(written: Written, folder: Path) -> None:
    with pytest.raises(DataError, match=r"line 3: .*joined: there is one file"):
        read_experiment(written(JOINED.replace("train: a.csv, test: b.csv", "file: a.csv")))
    experiment = read_experiment(written(JOINED), elsewhere={"films": folder / "a.csv"})
    with pytest.raises(DataError, match="films: joined is for a given split"):
        load_data(experiment, {"films": folder / "a.csv"})


PRODUCT = """
name: small
data: {file: ratings.csv}
models:
  - {model: product, set: {parts: ease+popularity, mode: MODE}}
"""


def test_a_value_may_depend_on_another(written: Written) -> None:
    (entrant,) = read_experiment(written(PRODUCT.replace("MODE", "ensemble"))).entrants
    assert entrant.settings == {"parts": "ease+popularity", "mode": "ensemble"}
    with pytest.raises(DataError, match=r"line 5: .*parts: .*use mode=ensemble"):
        read_experiment(written(PRODUCT.replace("MODE", "joint")))
