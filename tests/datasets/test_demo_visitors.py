"""Invented visitors: whom they are made of, what they like, and how they click."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from shoal.datasets.demo import DemoWorld, demo_frames, demo_world
from shoal.datasets.demo_visitors import Visitors, invent_visitors, noticed
from shoal.errors import DataError


@pytest.fixture(scope="module")
def world() -> DemoWorld:
    return demo_world(5, 300, 400)


@pytest.fixture(scope="module")
def visitors(world: DemoWorld) -> Visitors:
    return invent_visitors(world, 40, seed=1)


def test_the_log_does_not_depend_on_who_asks_for_the_tastes(world: DemoWorld) -> None:
    interactions, items = demo_frames(5, 300, 400)
    assert interactions.equals(world.interactions)
    assert items.equals(world.items)


def test_visitors_are_people_of_the_log_with_a_history(
    world: DemoWorld, visitors: Visitors
) -> None:
    assert len(set(visitors.users)) == 40
    for user in visitors.users:
        own = world.interactions.filter(world.interactions["user"] == user)
        assert (own["rating"] >= 4).sum() >= 6
    assert visitors.items == world.items["item"].to_list()
    assert visitors.chances.shape == (40, 400)
    assert ((visitors.chances > 0) & (visitors.chances < 1)).all()
    assert (visitors.visits > 0).all()


def test_chances_follow_from_tastes_and_from_what_was_seen(
    world: DemoWorld, visitors: Visitors
) -> None:
    films, feelings = world.films, world.feelings
    age = (films.year - np.mean(films.year)) / np.std(films.year)
    for place, user in enumerate(visitors.users[:5]):
        row = int(user[1:])  # people are numbered in the order of their ids
        own = world.interactions.filter(world.interactions["user"] == user)
        stars = dict(zip(own["item"], own["rating"], strict=True))
        for item in range(0, 400, 7):
            liking = 0.75 * feelings.tastes[row, films.strand[item]]
            liking += 0.25 * feelings.tastes[row, films.second[item]]
            liking += 0.55 * feelings.eras[row] * age[item] + 0.55 * (
                feelings.tones[row] * films.tone[item]
            )
            liking *= 0.25 if films.blockbuster[item] else 1.0
            odds = -5.0 + 0.9 * liking + 0.3 * films.quality[item]
            odds += 0.4 * (films.log_popularity[item] - films.log_popularity.mean())
            if films.previous[item] >= 0:
                before = stars.get(visitors.items[films.previous[item]], 0)
                odds += 1.0 if before >= 4 else -1.2
            if 0 < stars.get(visitors.items[item], 0) < 4:
                odds -= 3.0
            expected = 1 / (1 + math.exp(-odds))
            assert visitors.chances[place, item] == pytest.approx(expected, rel=1e-4)


def test_what_people_loved_in_the_log_is_what_they_click(
    world: DemoWorld, visitors: Visitors
) -> None:
    column = {item: place for place, item in enumerate(visitors.items)}
    loved, others = [], []
    for place, user in enumerate(visitors.users):
        own = world.interactions.filter(world.interactions["user"] == user)
        own = own.filter(own["rating"] >= 4)
        columns = [column[item] for item in own["item"]]
        loved.append(visitors.chances[place, columns].mean())
        others.append(np.delete(visitors.chances[place], columns).mean())
    assert np.mean(loved) > 3 * np.mean(others)


def test_clicks_come_as_often_as_chance_and_place_say() -> None:
    items = [f"m{n}" for n in range(9)]
    visitors = Visitors(["ann"], items, np.full((1, 9), 0.3, np.float32), np.ones(1, np.float32))
    rng = np.random.default_rng(0)
    n, counts = 20_000, dict.fromkeys(items, 0)
    for _ in range(n):
        clicked = visitors.clicks(0, items, rng)
        assert clicked == sorted(clicked, key=items.index)
        for item in clicked:
            counts[item] += 1
    assert noticed(0) == 1
    assert noticed(8) == pytest.approx(0.51, abs=0.01)
    for place, item in enumerate(items):
        chance = 0.3 / (1 + 0.12 * place)
        assert abs(counts[item] / n - chance) < 5 * math.sqrt(chance * (1 - chance) / n)


def test_films_that_are_none_are_not_clicked() -> None:
    visitors = Visitors(["ann"], ["m1"], np.ones((1, 1), np.float32), np.ones(1, np.float32))
    assert visitors.clicks(0, ["m1", "unknown"], np.random.default_rng(0)) == ["m1"]
    assert visitors.clicks(0, [], np.random.default_rng(0)) == []


def test_visitors_are_kept_in_a_file(tmp_path: Path, visitors: Visitors) -> None:
    visitors.save(tmp_path / "v.npz")
    again = Visitors.load(tmp_path / "v.npz")
    assert (again.users, again.items) == (visitors.users, visitors.items)
    assert (again.chances == visitors.chances).all()
    assert (again.visits == visitors.visits).all()


@pytest.mark.parametrize("content", [None, b"", b"no arrays", b"PK\x03\x04broken"])
def test_a_file_without_visitors_is_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "v.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"v\.npz holds no visitors"):
        Visitors.load(tmp_path / "v.npz")
