"""The demo catalogue: what it promises as data, and the structure that models are to find in it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from shoal.datasets._demo_words import THEMES
from shoal.datasets.demo import MAX_ITEMS, demo_frames
from shoal.errors import DataError

Frames = tuple[pl.DataFrame, pl.DataFrame]


@pytest.fixture(scope="module")
def frames() -> Frames:
    return demo_frames()


def themes_of(items: pl.DataFrame) -> list[str]:
    return items["genres"].str.split("|").list.get(1).to_list()


def test_a_seed_gives_the_same_frames() -> None:
    first, again, other = (demo_frames(seed, 60, 120) for seed in (7, 7, 8))
    assert first[0].equals(again[0])
    assert first[1].equals(again[1])
    assert not first[0].equals(other[0])
    assert not first[1].equals(other[1])


def test_columns(frames: Frames) -> None:
    interactions, items = frames
    assert interactions.schema == {
        "user": pl.String,
        "item": pl.String,
        "rating": pl.Int8,
        "timestamp": pl.Int64,
    }
    assert items.schema == {
        "item": pl.String,
        "title": pl.String,
        "genres": pl.String,
        "year": pl.Int64,
        "series": pl.String,
    }
    assert interactions.null_count().sum_horizontal().item() == 0
    assert items.drop("series").null_count().sum_horizontal().item() == 0


@pytest.mark.parametrize(
    ("n_users", "n_items"), [(10, 20), (10, 300), (300, 20), (60, 120), (20, MAX_ITEMS)]
)
def test_any_size_keeps_the_promises(n_users: int, n_items: int) -> None:
    check_promises(demo_frames(3, n_users, n_items), n_users, n_items)


def test_the_default_size_keeps_the_promises(frames: Frames) -> None:
    check_promises(frames, 4000, 1200)


def check_promises(frames: Frames, n_users: int, n_items: int) -> None:
    interactions, items = frames
    assert items.height == n_items
    assert items["item"].n_unique() == n_items
    assert items["title"].n_unique() == n_items
    assert items["item"].is_sorted()
    assert interactions["user"].n_unique() == n_users
    assert set(interactions["item"]) == set(items["item"])  # every film is rated at least once
    assert not interactions.select("user", "item").is_duplicated().any()
    assert interactions["rating"].is_between(1, 5).all()
    assert interactions.group_by("user").len()["len"].min() >= 5  # type: ignore[operator]
    assert interactions["user"].is_sorted()
    steps = interactions.group_by("user").agg(pl.col("timestamp").diff().min())["timestamp"]
    assert steps.min() >= 1  # type: ignore[operator]


def test_ids_and_titles_read_well(frames: Frames) -> None:
    interactions, items = frames
    assert interactions["user"].str.contains(r"^u\d{4}$").all()
    assert items["item"].str.contains(r"^m\d{4}$").all()
    assert items["title"].str.contains(r"^[A-ZÉ]").all()
    assert not items["title"].str.contains(r"[{}]|  | $").any()
    assert items["title"].str.len_chars().max() <= 90  # type: ignore[operator]
    assert set(themes_of(items)) == {theme.name for theme in THEMES}


def test_themes_refer_to_each_other_by_name() -> None:
    names = {theme.name for theme in THEMES}
    assert len(names) == len(THEMES)
    for theme in THEMES:
        assert {*theme.likes, *theme.avoids} <= names - {theme.name}
        assert not set(theme.likes) & set(theme.avoids)
        assert len(theme.strands) == 3
        assert len(theme.sequels) >= 4  # a series has up to five parts


def test_parts_of_a_series_follow_each_other(frames: Frames) -> None:
    parts = frames[1].drop_nulls("series").sort("series", "year")
    assert parts.group_by("series").len()["len"].is_between(2, 5).all()
    numerals = ["", " II: ", " III: ", " IV: ", " V: "]
    for _, group in parts.group_by("series", maintain_order=True):
        for numeral, title, series in zip(numerals, group["title"], group["series"], strict=False):
            assert title.startswith(series + numeral)
        assert all(a < b for a, b in pairwise(group["year"]))


def test_parts_are_mostly_seen_in_order_and_after_a_first_part_one_liked(frames: Frames) -> None:
    log = frames[0].join(frames[1].drop_nulls("series"), on="item")
    log = log.with_columns(first=pl.col("title") == pl.col("series"))
    steps = log.sort("user", "series", "timestamp").with_columns(
        pl.col("year").diff().over("user", "series").alias("later_by")
    )
    assert (steps["later_by"].drop_nulls() > 0).mean() > 0.85  # type: ignore[operator]
    went_on = (
        log.group_by("user", "series")
        .agg(pl.col("rating").filter("first").first(), more=pl.len() > 1)
        .drop_nulls("rating")
    )
    share = {
        liked: went_on.filter((pl.col("rating") >= 4) == liked)["more"].mean()
        for liked in (True, False)
    }
    assert share[True] > 2 * share[False]  # type: ignore[operator]


def test_ratings_are_informative(frames: Frames) -> None:
    liked = frames[0]["rating"] >= 4
    assert 0.55 <= float(liked.mean()) <= 0.65  # type: ignore[arg-type]
    shares = frames[0].with_columns(liked=liked).group_by("item").agg(pl.len(), pl.mean("liked"))
    often = shares.filter(pl.col("len") >= 100)["liked"]
    assert often.quantile(0.9) - often.quantile(0.1) > 0.25  # type: ignore[operator]


def test_popularity_is_skewed_with_a_few_blockbusters(frames: Frames) -> None:
    interactions, items = frames
    counts = interactions.group_by("item").len()["len"].sort(descending=True).to_numpy()
    assert counts[: items.height // 10].sum() > 0.35 * counts.sum()
    assert counts[4] > 0.3 * 4000  # five films that a third of all people saw
    assert np.median(counts) < 0.05 * 4000
    per_user = interactions.group_by("user").len()["len"]
    assert 30 <= float(per_user.median()) <= 50  # type: ignore[arg-type]
    assert per_user.max() > 5 * per_user.median()  # type: ignore[operator]


def test_the_log_spreads_over_three_years(frames: Frames) -> None:
    times = frames[0]["timestamp"].to_numpy()
    assert 2.8 < np.ptp(times) / (365 * 86_400) < 3.01
    per_month = np.histogram(times, bins=36)[0]
    assert per_month.min() > 0
    assert frames[1]["year"].max() < 2022  # type: ignore[operator]


def test_neighbours_share_the_theme(frames: Frames) -> None:
    interactions, items = frames
    counts, cooccurrence, themes = count_likes(interactions, items)
    cosine = cooccurrence / np.sqrt(np.outer(counts, counts) + 1e-9)
    np.fill_diagonal(cosine, -1.0)
    often = np.flatnonzero(counts >= 50)
    neighbours = np.argsort(-cosine[often], axis=1)[:, :10]
    found = np.mean(themes[neighbours] == themes[often][:, None])
    chance = np.mean(themes[:, None] == themes[None, :])
    assert len(often) > 300
    assert found > 0.7
    assert found > 6 * chance


def test_fans_of_a_theme_keep_away_from_its_opposites(frames: Frames) -> None:
    _, cooccurrence, themes = count_likes(*frames)
    np.fill_diagonal(cooccurrence, 0.0)
    one_hot = (themes[:, None] == np.arange(len(THEMES))).astype(float)
    pairs = one_hot.T @ cooccurrence @ one_hot
    lift = pairs * pairs.sum() / np.outer(pairs.sum(0), pairs.sum(1))
    at = {theme.name: index for index, theme in enumerate(THEMES)}
    avoided = [lift[at[t.name], at[name]] for t in THEMES for name in t.avoids]
    leaned_to = [lift[at[t.name], at[name]] for t in THEMES for name in t.likes]
    assert max(avoided) < 0.75
    assert np.mean(avoided) < 0.5 * np.mean(leaned_to)


def count_likes(
    interactions: pl.DataFrame, items: pl.DataFrame
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Likes per film [n], likes in common [n, n], and the theme's number of each film [n]."""
    liked = interactions.filter(pl.col("rating") >= 4)
    rows = liked["user"].rank("dense").to_numpy() - 1
    columns = items["item"].search_sorted(liked["item"]).to_numpy()
    X = np.zeros((int(rows.max()) + 1, items.height), dtype=np.float32)
    X[rows, columns] = 1.0
    number = {theme.name: index for index, theme in enumerate(THEMES)}
    themes = np.array([number[name] for name in themes_of(items)])
    return X.sum(axis=0), X.T @ X, themes


@pytest.mark.parametrize(
    ("seed", "n_users", "n_items", "message"),
    [
        (0, 9, 100, "n_users=9: the demo needs 10 people or more"),
        (0, -1, 100, "n_users=-1"),
        (0, 100, 19, "n_items=19: the demo has titles for 20 to 5000 films"),
        (0, 100, 5001, "n_items=5001"),
        (-1, 100, 100, "seed=-1: give 0 or a positive number"),
    ],
)
def test_bad_sizes_are_refused(seed: int, n_users: int, n_items: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        demo_frames(seed, n_users, n_items)
