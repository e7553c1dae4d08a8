"""``update``: the model of the old rows and the new ones, without a fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal

Shoal = Callable[..., tuple[int, str, str]]

# u000 has rows before, "new" has none; 500 and 501 are new items; rows below 3 do not count
EVENTS = [
    ("u000", 500, 5), ("u000", 3, 4), ("u001", 4, 2), ("new", 3, 5), ("new", 501, 4), ("new", 7, 1),
]  # fmt: skip


@pytest.fixture
def shop(ratings: Path, shoal_command: Shoal) -> Path:
    """A model of ratings of 3 and more, new rows, and the log that both make."""
    folder, old = ratings.parent, pl.read_csv(ratings)
    rng = np.random.default_rng(1)
    old = old.with_columns(rating=pl.Series(rng.integers(1, 6, len(old))))
    old.write_csv(ratings)
    events = pl.DataFrame(EVENTS, schema=["userId", "movieId", "rating"], orient="row")
    events = events.with_columns(timestamp=pl.lit(10**6, pl.Int64))
    events.write_csv(folder / "events.csv")
    pl.concat([old.filter(pl.col("userId") != "u005"), events]).write_csv(folder / "all.csv")
    (folder / "gone.txt").write_text("u005\n\nu999\n")
    assert fit(shoal_command, ratings, folder / "m") == 0
    return folder


def fit(shoal_command: Shoal, log: Path, out: Path, *options: object) -> int:
    rules = ("--model", "edlae", "--set", "l2=10", "--min-value", "3")
    return shoal_command("train", log, *rules, "--out", out, *options)[0]


def test_the_updated_model_is_that_of_all_rows(shop: Path, shoal_command: Shoal) -> None:
    code, out, err = shoal_command(
        *("update", shop / "m", shop / "events.csv", "--before", shop / "ratings.csv"),
        *("--remove-users", shop / "gone.txt", "--out", shop / "m2", "--json"),
    )
    assert code == 0, err
    told = json.loads(out)
    assert (told["users_added"], told["users_changed"], told["users_removed"]) == (1, 1, 1)
    assert (told["items"], told["items_added"], told["updates"]) == (42, 2, 1)
    assert told["notes"] == ["1 users to be removed are not in --before"]
    assert fit(shoal_command, shop / "all.csv", shop / "whole") == 0
    updated, whole = shoal.load(shop / "m2"), shoal.load(shop / "whole")
    assert updated.items == whole.items
    np.testing.assert_array_equal(updated.item_counts, whole.item_counts)
    np.testing.assert_allclose(updated.weights, whole.weights, atol=1e-5)


def test_the_folder_of_the_model_itself_may_be_written_and_old_filters_count_before(
    shop: Path, shoal_command: Shoal
) -> None:
    """Filters of the training log are about --before: users below them are not known."""
    few = ("--min-user-items", 6)
    assert fit(shoal_command, shop / "ratings.csv", shop / "m", *few) == 0
    n_items = shoal.load(shop / "m").n_items
    code, out, err = shoal_command(
        *("update", shop / "m", shop / "events.csv", "--before", shop / "ratings.csv", *few),
        *("--out", shop / "m"),
    )
    assert code == 0, err
    assert "--min-value 3, as when edlae was trained" in out
    assert "not the very log" not in out
    assert shoal.load(shop / "m").n_items == n_items + 2
    code, out, err = shoal_command(
        *("update", shop / "m", shop / "events.csv", "--before", shop / "ratings.csv", *few),
        *("--out", shop / "m3"),
    )
    assert code == 0, err  # a second time: the rows are those that the model now has not
    assert "not the very log" in out
    assert "update 2 since the last fit" in out


def test_users_are_only_removed(shop: Path, shoal_command: Shoal) -> None:
    before = ("--before", shop / "ratings.csv", "--out", shop / "m2")
    code, out, err = shoal_command("update", shop / "m", "--remove-users", "u003,u004", *before)
    assert code == 0, err
    assert "users 0 added, 0 changed, 2 removed" in out
    rest = pl.read_csv(shop / "ratings.csv").filter(~pl.col("userId").is_in(["u003", "u004"]))
    rest.write_csv(shop / "rest.csv")
    assert fit(shoal_command, shop / "rest.csv", shop / "whole") == 0
    updated, whole = shoal.load(shop / "m2"), shoal.load(shop / "whole")
    np.testing.assert_allclose(updated.weights, whole.weights, atol=1e-5)


def test_the_live_version_of_a_store_is_updated_to_the_next(
    shop: Path, shoal_command: Shoal
) -> None:
    store = shop / "store"
    code, _, err = shoal_command("publish", shop / "m", store)
    assert code == 0, err
    code, out, err = shoal_command(
        *("update", store, shop / "events.csv", "--before", shop / "ratings.csv"),
        *("--publish", store, "--json"),
    )
    assert code == 0, err
    told = json.loads(out)
    assert "folder" not in told
    assert shoal.artifact.Store(store).current() == told["version"]
    assert shoal.artifact.Store(store).load().n_items == 42
    code, _, err = shoal_command("update", store, shop / "events.csv")
    assert code == 2
    assert "say where the model is to go" in err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "name a file of new rows, or --remove-users"),
        (["--remove-users", "u001"], "--remove-users needs the rows that the users have"),
        (["--remove-users", "u999", "--before", "ratings.csv"], "user 'u999', who is to be"),
        (["events.csv", "--remove-users", "u000", "--before", "ratings.csv"], "has new rows"),
        (["events.csv", "--before", "events.csv"], "is none of the model's"),
        (["--remove-users", "empty.txt", "--before", "ratings.csv"], "there is no id in it"),
    ],
)
def test_what_cannot_be_done_is_told(
    shop: Path, shoal_command: Shoal, words: list[str], why: str
) -> None:
    (shop / "empty.txt").write_text("\n")
    given = [shop / word if "." in word else word for word in words]
    code, _, err = shoal_command("update", shop / "m", *given, "--out", shop / "m2")
    assert code == 2
    assert why in err.replace("\n", " ")
    assert not (shop / "m2").exists()


def test_a_model_that_takes_no_update_says_so(shop: Path, shoal_command: Shoal) -> None:
    log = shop / "ratings.csv"
    done = shoal_command(
        "train", log, "--model", "popularity", "--values", "binary", "--out", shop / "p"
    )
    assert done[0] == 0, done[2]
    code, _, err = shoal_command("update", shop / "p", shop / "events.csv", "--out", shop / "p2")
    assert code == 2
    assert "popularity takes new users by a fit only" in err.replace("\n", " ")
