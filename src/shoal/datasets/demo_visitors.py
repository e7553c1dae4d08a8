"""Invented visitors of a service that recommends the demo's films: what they click.

They are people of the demo catalogue, and click by the tastes that decided what they watched and
how they rated it. So a model that has understood their histories gets more clicks than one that
has not, and an experiment with these visitors has something to find.

This module needs numpy alone until visitors are invented, so that a process which only plays them
stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from shoal.errors import DataError
from shoal.kernels.arrays import Double, Float, Long

if TYPE_CHECKING:
    import polars as pl

    from shoal.datasets.demo import DemoWorld

LOVED = 4  # stars from which a film was liked

# The log-odds to click a film that is noticed: for a film that means nothing to the person, for
# each unit of liking, of quality, and for parts of a series by what the person knows of it.
_AVERAGE, _LIKING, _QUALITY = -5.0, 0.9, 0.3
_KNOWN = 0.4  # for each unit of how well known a film is, in logarithms
_NEXT_PART, _LATER_PART = 1.0, -1.2
_NOT_AGAIN = -3.0  # for a film that they have seen and did not love
_LOSS_OF_ATTENTION = 0.12  # by place in a list: half the visitors still notice the ninth film


@dataclass(frozen=True)
class Visitors:
    """People who are shown lists of films, and click some.

    Parameters
    ----------
    users : list of str
        Ids as in the demo's log.
    items : list of str
        Ids of all films.
    chances : (n_users, n_items) float32
        The chance that a person clicks a film once they notice it.
    visits : (n_users,) float32
        How often each comes, in visits a day.
    """

    users: list[str]
    items: list[str]
    chances: Float
    visits: Float

    def clicks(self, user: int, shown: Sequence[str], rng: np.random.Generator) -> list[str]:
        """Which films of a list a visitor clicks, in the order of the list.

        Each place is noticed or not, the first always and later ones less and less; what is noticed
        is clicked by its chance, whatever else is shown: the position-based model of clicks
        (Richardson, Dominowska and Ragno 2007; Craswell et al. 2008).

        Parameters
        ----------
        user : int
            Number of the visitor.
        shown : sequence of ids
            The films of the list, the first on top. Others than the demo's are not clicked.
        rng : Generator
        """
        draws = rng.random(len(shown))
        return [
            item
            for place, (item, draw) in enumerate(zip(shown, draws, strict=True))
            if draw < noticed(place) * self._chance(user, item)
        ]

    def _chance(self, user: int, item: str) -> float:
        place = self._places.get(item)
        return 0.0 if place is None else float(self.chances[user, place])

    @cached_property
    def _places(self) -> dict[str, int]:
        return {item: place for place, item in enumerate(self.items)}

    def save(self, path: Path) -> None:
        """Write the visitors to a file that `load` reads."""
        with path.open("wb") as file:
            np.savez(
                file,
                users=np.array(self.users),
                items=np.array(self.items),
                chances=self.chances,
                visits=self.visits,
            )

    @classmethod
    def load(cls, path: Path) -> Visitors:
        """Read visitors that `save` wrote.

        Raises
        ------
        DataError
            There is no such file, or it holds no visitors.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls(
                    arrays["users"].tolist(),
                    arrays["items"].tolist(),
                    arrays["chances"],
                    arrays["visits"],
                )
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DataError(f"{path} holds no visitors of the demo ({error})") from error


def noticed(place: int) -> float:
    """The chance that a visitor notices the film at a place of a list, from 0 on top."""
    return 1.0 / (1.0 + _LOSS_OF_ATTENTION * place)


def invent_visitors(world: DemoWorld, n_visitors: int = 200, seed: int = 0) -> Visitors:
    """Make visitors of some people of the demo catalogue, spread over all of its people.

    Parameters
    ----------
    world : DemoWorld
    n_visitors : int
        How many at most; people who loved fewer than six films are passed over.
    seed : int
        Of how often each comes.

    Returns
    -------
    Visitors
    """
    log = world.interactions
    all_users: list[str] = log["user"].unique().sort().to_list()
    n_loved = dict(log.filter(log["rating"] >= LOVED).group_by("user").len().iter_rows())
    keen = np.array([n for n, user in enumerate(all_users) if n_loved.get(user, 0) >= 6])
    chosen = keen[np.linspace(0, len(keen) - 1, min(n_visitors, len(keen))).astype(np.int64)]
    rng = np.random.Generator(np.random.PCG64(seed))
    visits = 0.5 + 3.0 * rng.random(len(chosen)) ** 2
    return Visitors(
        users=[all_users[number] for number in chosen],
        items=world.items["item"].to_list(),
        chances=_chances(
            world, chosen, log.filter(log["user"].is_in([all_users[n] for n in chosen]))
        ),
        visits=visits.astype(np.float32),
    )


def _chances(world: DemoWorld, people: Long, log: pl.DataFrame) -> Float:
    """The chance of each of some people to click each film, once it is noticed."""
    from shoal.datasets._demo_people import taste_weight

    films = world.films
    fit, mood = world.feelings.of(people).fit_and_mood(films)
    log_odds = _AVERAGE + _LIKING * taste_weight(films) * (fit + mood) + _QUALITY * films.quality
    log_odds += _KNOWN * (films.log_popularity - films.log_popularity.mean())
    stars = _stars(world, people, log)
    later = np.flatnonzero(films.previous >= 0)
    loved_before = stars[:, films.previous[later]] >= LOVED
    log_odds[:, later] += np.where(loved_before, _NEXT_PART, _LATER_PART)
    log_odds += np.where((stars > 0) & (stars < LOVED), _NOT_AGAIN, 0.0)
    chances: Double = 1.0 / (1.0 + np.exp(-log_odds))
    return chances.astype(np.float32)


def _stars(world: DemoWorld, people: Long, log: pl.DataFrame) -> Long:
    """The stars that each of some people gave each film; 0 for films that they have not seen."""
    rows = {user: row for row, user in enumerate(log["user"].unique().sort().to_list())}
    columns = {item: column for column, item in enumerate(world.items["item"].to_list())}
    stars = np.zeros((len(people), len(columns)), dtype=np.int64)
    for user, item, rating in log.select("user", "item", "rating").iter_rows():
        stars[rows[user], columns[item]] = rating
    return stars
