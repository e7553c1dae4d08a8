"""A demo catalogue of invented films and invented people who rate them.

Generated, so that the first minutes with shoal need no download and no licence; structured, so
that what a model finds can be judged by reading it. Fourteen themes (submarine thrillers, baking
documentaries, ...) of three strands each; people like one to four themes, lean to what
is near them, keep away from their opposites, finish the series they enjoy, and now and then
watch what everybody watches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from shoal.datasets._demo_films import Catalogue, film_table, make_catalogue
from shoal.datasets._demo_people import Feelings, schedule, watch
from shoal.errors import DataError

MIN_USERS = 10
MIN_ITEMS = 20
MAX_ITEMS = 5000  # the title grammars stay fresh up to here


@dataclass(frozen=True)
class DemoWorld:
    """The demo catalogue, and what decided who watched what in it.

    Parameters
    ----------
    interactions, items : DataFrame
        As `demo_frames` gives them.
    films : Catalogue
        The films as arrays; film number i has the i-th id of `items`.
    feelings : Feelings
        What each person likes; person number i has the i-th id of the log's users.
    """

    interactions: pl.DataFrame
    items: pl.DataFrame
    films: Catalogue
    feelings: Feelings


def demo_frames(
    seed: int = 0, n_users: int = 4000, n_items: int = 1200
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Generate the demo catalogue: a log of ratings and the films that it is about.

    Parameters
    ----------
    seed : int
        Non-negative; the same seed and sizes give the same frames.
    n_users : int
        Number of people, at least 10. A person rates about 40 films (median), never fewer than 5.
    n_items : int
        Number of films, from 20 to 5000. Each has at least one rating: one that nobody picked
        goes to the person likeliest to.

    Returns
    -------
    interactions : polars.DataFrame
        ``user`` and ``item`` (String), ``rating`` (Int8, 1 to 5) and ``timestamp`` (Int64, seconds
        since 1970), sorted by user, then time. A pair occurs once, and a user's times increase.
    items : polars.DataFrame
        ``item``, ``title``, ``genres`` (String, ``"Genre|Sub-genre"`` and for crossovers the other
        genre), ``year`` (Int64) and ``series`` (String, null for single films), sorted by item.

    Raises
    ------
    DataError
        If a size or the seed is out of bounds.
    """
    world = demo_world(seed, n_users, n_items)
    return world.interactions, world.items


def demo_world(seed: int = 0, n_users: int = 4000, n_items: int = 1200) -> DemoWorld:
    """Generate the demo catalogue together with the tastes of its people.

    The parameters and the errors are those of `demo_frames`, and so are the two tables.
    """
    if n_users < MIN_USERS:
        raise DataError(f"n_users={n_users}: the demo needs {MIN_USERS} people or more")
    if not MIN_ITEMS <= n_items <= MAX_ITEMS:
        raise DataError(
            f"n_items={n_items}: the demo has titles for {MIN_ITEMS} to {MAX_ITEMS} films"
        )
    if seed < 0:
        raise DataError(f"seed={seed}: give 0 or a positive number")
    rng = np.random.Generator(np.random.PCG64(seed))
    catalogue = make_catalogue(rng, n_items)
    watched = watch(rng, catalogue, n_users)
    order, times = schedule(rng, catalogue, watched.users, watched.items)

    item_ids = _ids("m", n_items)
    interactions = pl.DataFrame(
        {
            "user": pl.Series(_ids("u", n_users)).gather(watched.users[order]),
            "item": pl.Series(item_ids).gather(watched.items[order]),
            "rating": pl.Series(watched.ratings[order], dtype=pl.Int8),
            "timestamp": pl.Series(times, dtype=pl.Int64),
        }
    )
    return DemoWorld(interactions, film_table(catalogue, item_ids), catalogue, watched.feelings)


def _ids(prefix: str, count: int) -> list[str]:
    width = max(4, len(str(count - 1)))
    return [f"{prefix}{number:0{width}d}" for number in range(count)]
