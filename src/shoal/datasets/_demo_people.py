"""The people of the demo catalogue: what they like, what they see, how they rate it, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoal.datasets._demo_draws import bell
from shoal.datasets._demo_films import N_STRANDS, N_THEMES, ROMAN, Catalogue
from shoal.datasets._demo_words import THEMES
from shoal.kernels.arrays import Double, Long

_LOG_START = 1_640_995_200  # 2022-01-01 UTC, after the last film
_LOG_SECONDS = 3 * 365 * 86_400
_BLOCK = 512

# What decides who sees what; in nats of the odds to pick a film, unless said otherwise.
_LOVE = (2.6, 3.8)  # a theme among the user's tastes
_LEAN = 0.9  # a theme near one of them
_AVOID = -1.8  # the opposite of one of them
_STRAND = 0.9  # standard deviation between the strands of a theme
_ERA, _TONE = 0.55, 0.55  # old or new, bright or dark
_BLOCKBUSTER_TASTE = 0.25  # how much of all this counts for a film that everyone sees
# Chance to go on to the next part, by the stars that the last one got (1 to 5).
_GO_ON = np.array([0.0, 0.02, 0.05, 0.20, 0.60, 0.85])


def _theme_links() -> tuple[Double, Double]:
    """Which themes are near each other and which are opposites: themes × themes of 0 and 1."""
    number = {theme.name: index for index, theme in enumerate(THEMES)}
    near, far = np.zeros((2, N_THEMES, N_THEMES))
    for theme in THEMES:
        near[number[theme.name], [number[name] for name in theme.likes]] = 1.0
        far[number[theme.name], [number[name] for name in theme.avoids]] = 1.0
    return near, far


def _tastes(rng: np.random.Generator, n_users: int) -> Double:
    """Draw what each user feels about each strand, [n_users, 3 · themes]."""
    (near, far), weights = _theme_links(), np.array([theme.weight for theme in THEMES])
    rows, loved = np.arange(n_users), np.zeros((n_users, N_THEMES))
    n_tastes = 1 + np.searchsorted(np.array([0.2, 0.55, 0.85]), rng.random(n_users), side="right")
    for turn in range(4):
        # The second taste is likelier near the first than far from it.
        odds = weights * (1.0 + 1.5 * (loved @ near)) * (1.0 - 0.9 * np.minimum(loved @ far, 1.0))
        odds = np.where(loved > 0, 0.0, odds).cumsum(axis=1)
        theme = (odds <= (rng.random(n_users) * odds[:, -1])[:, None]).sum(axis=1)
        chosen = n_tastes > turn
        loved[rows[chosen], theme[chosen]] = 1.0
    strength = _LOVE[0] + (_LOVE[1] - _LOVE[0]) * rng.random((n_users, N_THEMES))
    lean = _LEAN * np.minimum(loved @ near, 1.0) + _AVOID * np.minimum(loved @ far, 1.0)
    theme_taste = np.where(loved > 0, strength, lean + 0.4 * bell(rng, n_users, N_THEMES))
    spread = np.repeat(np.where(loved > 0, _STRAND, 0.3 * _STRAND), N_STRANDS, axis=1)
    own = spread * bell(rng, n_users, N_THEMES * N_STRANDS)
    return np.repeat(theme_taste, N_STRANDS, axis=1) + own


@dataclass(frozen=True)
class Feelings:
    """What people like in films, one row per person.

    Parameters
    ----------
    tastes : (n_users, 3 · themes)
        How much they like each strand of each theme.
    eras, tones : (n_users,)
        Whether they like new films more than old ones, and dark ones more than bright ones.
    """

    tastes: Double
    eras: Double
    tones: Double

    def fit_and_mood(self, films: Catalogue) -> tuple[Double, Double]:
        """How each person likes each film for its themes, and for its age and tone."""
        age = (films.year - films.year.mean()) / max(float(films.year.std()), 1.0)
        fit = 0.75 * self.tastes[:, films.strand] + 0.25 * self.tastes[:, films.second]
        mood = _ERA * np.outer(self.eras, age)
        mood += _TONE * np.outer(self.tones, films.tone)
        return fit, mood

    def of(self, people: Long) -> Feelings:
        """The feelings of some people."""
        return Feelings(self.tastes[people], self.eras[people], self.tones[people])


def _joined(blocks: list[Feelings]) -> Feelings:
    """The feelings of all blocks of people, one below the other."""
    return Feelings(
        np.concatenate([block.tastes for block in blocks]),
        np.concatenate([block.eras for block in blocks]),
        np.concatenate([block.tones for block in blocks]),
    )


def taste_weight(films: Catalogue) -> Double:
    """How much a person's feelings count for whether they pick a film: little for blockbusters."""
    return np.where(films.blockbuster, _BLOCKBUSTER_TASTE, 1.0)


@dataclass(frozen=True)
class Watched:
    """Who saw what, sorted by person and film, one entry per pair; and what the people like."""

    users: Long
    items: Long
    ratings: npt.NDArray[np.int8]
    feelings: Feelings


def watch(rng: np.random.Generator, films: Catalogue, n_users: int) -> Watched:
    """Decide who sees what and with how many stars."""
    n_items = len(films.titles)
    weight = taste_weight(films)
    later_parts = [np.flatnonzero(films.part == part) for part in range(2, len(ROMAN) + 1)]
    keenest, keenest_user = np.full(n_items, np.inf), np.zeros(n_items, dtype=np.int64)
    keenest_rating = np.zeros(n_items, dtype=np.int8)
    picked: list[tuple[Long, Long, npt.NDArray[np.int8]]] = []
    blocks: list[Feelings] = []
    for start in range(0, n_users, _BLOCK):
        size = min(_BLOCK, n_users - start)
        feelings = Feelings(_tastes(rng, size), bell(rng, size), bell(rng, size))
        blocks.append(feelings)
        fit, mood = feelings.fit_and_mood(films)
        # The n smallest of exponential / weight are n draws without replacement.
        log_odds = films.log_popularity + weight * (fit + mood)
        key = -np.log1p(-rng.random((size, n_items))) * np.exp(-log_odds)
        count = np.floor(37.0 * np.exp(0.8 * bell(rng, size))).astype(np.int64)
        count = np.clip(count, 5, n_items // 2)
        seen = key <= np.sort(key, axis=1)[np.arange(size), count - 1][:, None]

        stars = 2.88 + 0.5 * films.quality + 0.27 * fit + 0.35 * mood
        stars += 0.3 * bell(rng, size)[:, None] + 0.65 * bell(rng, size, n_items)
        ratings = np.clip(np.floor(stars + 0.5), 1, 5).astype(np.int8)
        for part in later_parts:
            before = films.previous[part]
            goes_on = _GO_ON[ratings[:, before]] * seen[:, before]
            seen[:, part] |= rng.random((size, len(part))) < goes_on

        rows, items = np.nonzero(seen)
        picked.append((rows + start, items, ratings[rows, items]))
        best, every = key.argmin(axis=0), np.arange(n_items)
        better = key[best, every] < keenest
        keenest = np.where(better, key[best, every], keenest)
        keenest_user = np.where(better, best + start, keenest_user)
        keenest_rating = np.where(better, ratings[best, every], keenest_rating)

    users, items, stars_given = (np.concatenate(column) for column in zip(*picked, strict=True))
    unseen = np.flatnonzero(np.bincount(items, minlength=n_items) == 0)
    users = np.concatenate([users, keenest_user[unseen]])
    items = np.concatenate([items, unseen])
    stars_given = np.concatenate([stars_given, keenest_rating[unseen]])
    order = np.lexsort((items, users))
    return Watched(users[order], items[order], stars_given[order], _joined(blocks))


def schedule(
    rng: np.random.Generator, films: Catalogue, users: Long, items: Long
) -> tuple[Long, Long]:
    """Order each user's films and date them: a permutation by user and time, and the times."""
    names = sorted({name for name in films.series if name is not None})
    number = {name: index for index, name in enumerate(names)}
    group = np.array([-1 if name is None else number[name] for name in films.series])[items]
    group = np.where(group < 0, len(names) + items, group)
    key = rng.random(len(items))
    # Within a user's series the moments stay and the parts take them in order.
    by_part = np.lexsort((films.part[items], group, users))
    by_key = np.lexsort((key, group, users))
    ordered = np.empty_like(key)
    ordered[by_part] = key[by_key]
    astray = rng.random(len(items)) < 0.03
    ordered[astray] = rng.random(int(astray.sum()))
    order = np.lexsort((ordered, users))
    # Evenings: some films follow each other within hours, the rest are days apart.
    n_users = int(users[-1]) + 1
    draw, pause = rng.random((2, len(items)))
    gap = np.where(draw < 0.4, 5400.0 + 9000.0 * pause, 1800.0 - 86_400.0 * np.log1p(-pause))
    elapsed = np.cumsum(gap)
    last = np.searchsorted(users, np.arange(n_users), side="right") - 1
    start = np.concatenate([[0.0], elapsed[last[:-1]]])
    total = elapsed[last] - start
    span = np.minimum(_LOG_SECONDS, 120.0 * 86_400 * np.exp(1.1 * bell(rng, n_users)))
    stretch = np.minimum(span / total, 20.0)
    begin = rng.random(n_users) * (_LOG_SECONDS - stretch * total)
    seconds = np.floor(begin[users] + stretch[users] * (elapsed - start[users]))
    # Rounding may join two moments of a crowded evening; a second per film keeps them apart.
    position = np.arange(len(items)) - np.concatenate([[0], last[:-1] + 1])[users]
    return order, (_LOG_START + seconds.astype(np.int64) + position).astype(np.int64)
