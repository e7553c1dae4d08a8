"""An invented shop whose titles are as bad as titles get, with models, people and their events."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import shoal
from shoal.artifact import Store
from shoal.events import Event, EventStore, ShownList

ONE_THREAD = shoal.Run(threads=1)
GENRES = ("Harbour drama", "Kitchen comedy", "Desert western", "Orbit thriller")
PER_GENRE = 14
N_USERS = 320
LONG = ("The very long title of a film about the sea, " * 12)[:500]
UNBROKEN = "Unterwasserforschungsschiff" * 18 + "Kapitäne" + "!" * 6  # 500, and no space in it
HOSTILE = {  # by id; all of the first genre, and liked by many, so that every list shows them
    "markup": '<img src=x onerror="window.ran = 1">Not a picture',
    "script": "</title></script><script>window.ran = 1</script>{{ 7 * 7 }} & Sons",
    "long": LONG,
    "unbroken": UNBROKEN,
    "hebrew": "שלום עולם: סיפור של נמל",
    "arabic": "ألف ليلة وليلة (١٩٩٩)",
    "emoji": "🐟🌊 The Shoal 👩‍👩‍👧‍👦",
    "a/b": "Harbour / Slash",
    "x,y": "Harbour, Comma",
    "50%": "Harbour 50% off",
    'say "hi" ?&#': "Harbour and quotes",
    "..": "Harbour dots",
}
EXPERIMENT = """
name: autumn
variants:
  control: {share: 0.5}
  diverse: {share: 0.25, diversity: 0.3}
  sparse: {share: 0.25, model: sparse}
success: like
"""
STRANGE_PERSON = "o'brien <b>/?&#%"


def item_table() -> pl.DataFrame:
    """Ids, titles, genres (several in one cell), year and a text of each item."""
    rows: list[dict[str, Any]] = []
    hostile = list(HOSTILE.items())
    for number, genre in enumerate(GENRES):
        for place in range(PER_GENRE):
            item, title = f"film-{number}-{place:02}", f"{genre.split()[0]} tale {place + 1}"
            if number == 0 and place < len(hostile):
                item, title = hostile[place]
            also = GENRES[(number + 1) % 4] if place % 5 == 4 else None
            rows.append(
                {
                    "item": item,
                    "title": title,
                    "genres": f"{genre}|{also}" if also else genre,
                    "year": 1960 + (7 * place + number) % 60,
                    "description": f"A {genre.lower()} that ends well, told in {place + 1} acts.",
                }
            )
    return pl.DataFrame(rows)


def interactions() -> pl.DataFrame:
    """Who liked what: each person most of one genre, a little of others, the first ones most."""
    rng = np.random.default_rng(17)
    table = item_table()
    items = table["item"].to_list()
    rows = []
    for user in range(N_USERS):
        odds = np.full(len(items), 0.04)
        odds[user % 4 * PER_GENRE : (user % 4 + 1) * PER_GENRE] = 0.55
        chosen = np.flatnonzero(rng.random(len(items)) < odds)
        rows += [(f"u{user:03}", items[i], 1_700_000_000 + 60 * len(rows)) for i in chosen]
    return pl.DataFrame(rows, schema=["user", "item", "time"], orient="row")


def log(*, titled: bool = True) -> shoal.Interactions:
    """The interactions, with or without the item table."""
    return shoal.read(interactions(), items=item_table() if titled else None)


def make_store(folder: Path, *models: shoal.Recommender) -> Store:
    """A store with these versions, the last of which is live."""
    store = Store(folder, create=True)
    for number, model in enumerate(models, 1):
        store.publish(model, note=f"version {number} of the browser's tests")
    return store


def make_events(place: Path) -> None:
    """What some people did this last hour: views and likes, and lists they were shown."""
    table, now = interactions(), time.time()
    chosen = table.filter(pl.col("user").is_in([f"u{n:03}" for n in range(40)]))
    rows = list(chosen.select("user", "item").iter_rows())
    events = [
        Event(user, item, "like" if n % 3 else "view", time=now - 3600 + 3500 * n / len(rows))
        for n, (user, item) in enumerate(rows)
    ]
    events.append(Event(STRANGE_PERSON, "markup", "like", time=now - 30))
    shown = [
        ShownList(f"list-{n}", f"u{n:03}", ["markup", "long", "emoji"], "ease", "v1", now - 60 * n)
        for n in range(20)
    ]
    with EventStore(place) as store:
        store.append(events, lists=shown)
