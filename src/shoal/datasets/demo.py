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
import numpy.typing as npt
import polars as pl

from shoal.datasets._demo_words import THEMES, Theme
from shoal.errors import DataError
from shoal.kernels.arrays import Bool, Double, Long

MIN_USERS = 10
MIN_ITEMS = 20
MAX_ITEMS = 5000  # the title grammars stay fresh up to here

_N_THEMES = len(THEMES)
_N_STRANDS = 3
_ROMAN = ("I", "II", "III", "IV", "V")
_LAST_YEAR = 2021
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
_SEQUEL_FIRST = -3.0  # starting a series in the middle
# Chance to go on to the next part, by the stars that the last one got (1 to 5).
_GO_ON = np.array([0.0, 0.02, 0.05, 0.20, 0.60, 0.85])


@dataclass(frozen=True)
class _Catalogue:
    """The films as arrays, one entry per film."""

    titles: list[str]
    series: list[str | None]
    strand: Long  # 0 .. 3 · themes - 1
    second: Long  # the strand that a crossover borrows from; its own otherwise
    year: Long
    part: Long  # 1 for the first of a series and for single films
    previous: Long  # the part before, as an index; -1 where there is none
    log_popularity: Double
    blockbuster: Bool
    quality: Double
    tone: Double


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
    if n_users < MIN_USERS:
        raise DataError(f"n_users={n_users}: the demo needs {MIN_USERS} people or more")
    if not MIN_ITEMS <= n_items <= MAX_ITEMS:
        raise DataError(
            f"n_items={n_items}: the demo has titles for {MIN_ITEMS} to {MAX_ITEMS} films"
        )
    if seed < 0:
        raise DataError(f"seed={seed}: give 0 or a positive number")
    rng = np.random.Generator(np.random.PCG64(seed))
    catalogue = _make_catalogue(rng, n_items)
    users, items, ratings = _watch(rng, catalogue, n_users)
    order, times = _schedule(rng, catalogue, users, items)

    item_ids = _ids("m", n_items)
    interactions = pl.DataFrame(
        {
            "user": pl.Series(_ids("u", n_users)).gather(users[order]),
            "item": pl.Series(item_ids).gather(items[order]),
            "rating": pl.Series(ratings[order], dtype=pl.Int8),
            "timestamp": pl.Series(times, dtype=pl.Int64),
        }
    )
    return interactions, _film_table(catalogue, item_ids)


def _film_table(catalogue: _Catalogue, item_ids: list[str]) -> pl.DataFrame:
    """What is known of the films, one row for each."""
    strands = zip(catalogue.strand, catalogue.second, strict=True)
    return pl.DataFrame(
        {
            "item": item_ids,
            "title": catalogue.titles,
            "genres": [_genres(strand, second) for strand, second in strands],
            "year": pl.Series(catalogue.year, dtype=pl.Int64),
            "series": pl.Series(catalogue.series, dtype=pl.String),
        }
    )


def _ids(prefix: str, count: int) -> list[str]:
    width = max(4, len(str(count - 1)))
    return [f"{prefix}{number:0{width}d}" for number in range(count)]


def _genres(strand: int, second: int) -> str:
    own, other = THEMES[strand // _N_STRANDS], THEMES[second // _N_STRANDS]
    crossover = [other.genre] if other.genre != own.genre else []
    return "|".join([own.genre, own.name, *crossover])


# Only `Generator.random` is drawn from: its stream is the one that numpy keeps the same everywhere.


def _bell(rng: np.random.Generator, *shape: int) -> Double:
    """Draw near-normal numbers of mean 0 and variance 1, within ±3 (a sum of three uniforms)."""
    return (rng.random(shape) + rng.random(shape) + rng.random(shape) - 1.5) * 2.0


def _integers(rng: np.random.Generator, below: int, size: int) -> Long:
    return np.floor(rng.random(size) * below).astype(np.int64)


def _pick(rng: np.random.Generator, weights: Double) -> int:
    cumulative = np.cumsum(weights)
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def _turns(key: Double, group: Long) -> Long:
    """Count for each entry how many of its group have a smaller key."""
    order = np.lexsort((key, group))
    turns = np.empty_like(order)
    turns[order] = np.arange(len(group)) - np.searchsorted(group[order], group[order])
    return turns


def _strand_titles(rng: np.random.Generator, theme: Theme, strand: int) -> list[str]:
    """List every title of a strand, to be popped from the end; its words take turns."""
    words_of: dict[str, tuple[int, int]] = {}  # numbers of the word and of the extra of a title
    for word, x in enumerate(theme.strands[strand]):
        for frame in theme.frames:
            for extra, a in enumerate(theme.extras if "{a}" in frame else ("",)):
                title = frame.format(x=x, a=a)
                words_of[title[0].upper() + title[1:]] = (word, extra if a else len(theme.extras))
    titles, (words, extras) = list(words_of), np.array(list(words_of.values())).T
    key = rng.random(len(titles))
    key += _turns(key, words * (len(theme.extras) + 1) + extras)  # the same two words: much later
    return [titles[index] for index in np.lexsort((key, _turns(key, words)))[::-1]]


@dataclass(frozen=True)
class _Films:
    """Films in the order in which they are invented, one entry per film in each list."""

    titles: list[str]
    series: list[str | None]
    strands: Long
    years: Long
    parts: Long
    previous: Long  # the part before, as an index; -1 where there is none
    quality: Double
    work: Long  # number of the series, or of the single film, that a film belongs to


def _invent_films(
    rng: np.random.Generator, pools: list[list[str]], weights: Double, n_items: int
) -> _Films:
    """Invent series and single films until there are enough films.

    Each title is taken from the pool of its strand, and each strand is drawn by its weight.
    """
    titles, series = list[str](), list[str | None]()
    strands, years, parts, previous, quality, work = [], [], [], [], [], []
    n_works = 0  # a series, or a film on its own
    while len(titles) < n_items:
        not_empty = np.array([len(pool) > 0 for pool in pools])
        strand = _pick(rng, weights * not_empty)
        theme = THEMES[strand // _N_STRANDS]
        title = pools[strand].pop()
        # A title with a pause or a question in it does not take a numeral and a subtitle.
        serial = rng.random() < theme.serial and not any(mark in title for mark in ":?,")
        length = min(2 + int(4 * rng.random() ** 2) if serial else 1, n_items - len(titles))
        gaps = np.concatenate([[0], 1 + _integers(rng, 4, length - 1)]).cumsum()
        first_year = _LAST_YEAR - int(65 * rng.random() ** 1.6)
        release = min(first_year, _LAST_YEAR - int(gaps[-1])) + gaps
        subtitles = np.argsort(rng.random(len(theme.sequels)), kind="stable")
        worth = 0.8 * float(_bell(rng, 1)[0])
        for part in range(length):
            previous.append(len(titles) - 1 if part else -1)
            subtitle = f" {_ROMAN[part]}: {theme.sequels[subtitles[part]]}" if part else ""
            titles.append(title + subtitle)
            series.append(title if length > 1 else None)
            strands.append(strand)
            years.append(int(release[part]))
            parts.append(part + 1)
            quality.append(worth + 0.6 * float(_bell(rng, 1)[0]) - 0.15 * part)
            work.append(n_works)
        n_works += 1
    return _Films(
        titles,
        series,
        strands=np.array(strands),
        years=np.array(years),
        parts=np.array(parts),
        previous=np.array(previous),
        quality=np.array(quality),
        work=np.array(work),
    )


def _make_catalogue(rng: np.random.Generator, n_items: int) -> _Catalogue:
    """Invent films, decide how popular each is, and give them ids in random order."""
    pools = [_strand_titles(rng, theme, strand) for theme in THEMES for strand in range(_N_STRANDS)]
    weights = np.repeat([theme.weight for theme in THEMES], _N_STRANDS).astype(np.float64)
    films = _invent_films(rng, pools, weights, n_items)
    n_works = int(films.work[-1]) + 1
    rank = np.argsort(np.argsort(rng.random(n_works), kind="stable"), kind="stable")[films.work]
    log_popularity = -1.2 * np.log(rank * (n_items / n_works) + 12.0 * n_items / 1200)
    log_popularity += 0.5 * np.log(weights[films.strands]) + 0.25 * films.quality
    log_popularity += _SEQUEL_FIRST * (films.parts > 1)
    blockbuster = (rank < max(1, n_items // 120)) & (films.parts == 1)
    log_popularity += 0.9 * blockbuster
    crossover = rng.random(n_items) < 0.1
    second = np.where(crossover, _integers(rng, len(pools), n_items), films.strands)
    second = second[np.searchsorted(films.work, films.work)]  # the same for a whole series

    shuffle = np.argsort(rng.random(n_items), kind="stable")  # film f gets id shuffle⁻¹(f)
    place = np.argsort(shuffle, kind="stable")
    before = films.previous[shuffle]
    return _Catalogue(
        titles=[films.titles[index] for index in shuffle],
        series=[films.series[index] for index in shuffle],
        strand=films.strands[shuffle],
        second=second[shuffle],
        year=films.years[shuffle],
        part=films.parts[shuffle],
        previous=np.where(before < 0, -1, place[before]),
        log_popularity=log_popularity[shuffle],
        blockbuster=blockbuster[shuffle],
        quality=films.quality[shuffle],
        tone=_bell(rng, n_works)[films.work][shuffle],
    )


def _theme_links() -> tuple[Double, Double]:
    """Which themes are near each other and which are opposites: themes × themes of 0 and 1."""
    number = {theme.name: index for index, theme in enumerate(THEMES)}
    near, far = np.zeros((2, _N_THEMES, _N_THEMES))
    for theme in THEMES:
        near[number[theme.name], [number[name] for name in theme.likes]] = 1.0
        far[number[theme.name], [number[name] for name in theme.avoids]] = 1.0
    return near, far


def _tastes(rng: np.random.Generator, n_users: int) -> Double:
    """Draw what each user feels about each strand, [n_users, 3 · themes]."""
    (near, far), weights = _theme_links(), np.array([theme.weight for theme in THEMES])
    rows, loved = np.arange(n_users), np.zeros((n_users, _N_THEMES))
    n_tastes = 1 + np.searchsorted(np.array([0.2, 0.55, 0.85]), rng.random(n_users), side="right")
    for turn in range(4):
        # The second taste is likelier near the first than far from it.
        odds = weights * (1.0 + 1.5 * (loved @ near)) * (1.0 - 0.9 * np.minimum(loved @ far, 1.0))
        odds = np.where(loved > 0, 0.0, odds).cumsum(axis=1)
        theme = (odds <= (rng.random(n_users) * odds[:, -1])[:, None]).sum(axis=1)
        chosen = n_tastes > turn
        loved[rows[chosen], theme[chosen]] = 1.0
    strength = _LOVE[0] + (_LOVE[1] - _LOVE[0]) * rng.random((n_users, _N_THEMES))
    lean = _LEAN * np.minimum(loved @ near, 1.0) + _AVOID * np.minimum(loved @ far, 1.0)
    theme_taste = np.where(loved > 0, strength, lean + 0.4 * _bell(rng, n_users, _N_THEMES))
    spread = np.repeat(np.where(loved > 0, _STRAND, 0.3 * _STRAND), _N_STRANDS, axis=1)
    own = spread * _bell(rng, n_users, _N_THEMES * _N_STRANDS)
    return np.repeat(theme_taste, _N_STRANDS, axis=1) + own


def _watch(
    rng: np.random.Generator, films: _Catalogue, n_users: int
) -> tuple[Long, Long, npt.NDArray[np.int8]]:
    """Decide who sees what and with how many stars: users (ascending), items, ratings."""
    n_items = len(films.titles)
    age = (films.year - films.year.mean()) / max(float(films.year.std()), 1.0)
    weight = np.where(films.blockbuster, _BLOCKBUSTER_TASTE, 1.0)
    later_parts = [np.flatnonzero(films.part == part) for part in range(2, len(_ROMAN) + 1)]
    keenest, keenest_user = np.full(n_items, np.inf), np.zeros(n_items, dtype=np.int64)
    keenest_rating = np.zeros(n_items, dtype=np.int8)
    picked: list[tuple[Long, Long, npt.NDArray[np.int8]]] = []
    for start in range(0, n_users, _BLOCK):
        size = min(_BLOCK, n_users - start)
        taste = _tastes(rng, size)
        fit = 0.75 * taste[:, films.strand] + 0.25 * taste[:, films.second]
        mood = _ERA * np.outer(_bell(rng, size), age)
        mood += _TONE * np.outer(_bell(rng, size), films.tone)
        # The n smallest of exponential / weight are n draws without replacement.
        log_odds = films.log_popularity + weight * (fit + mood)
        key = -np.log1p(-rng.random((size, n_items))) * np.exp(-log_odds)
        count = np.floor(37.0 * np.exp(0.8 * _bell(rng, size))).astype(np.int64)
        count = np.clip(count, 5, n_items // 2)
        seen = key <= np.sort(key, axis=1)[np.arange(size), count - 1][:, None]

        stars = 2.88 + 0.5 * films.quality + 0.27 * fit + 0.35 * mood
        stars += 0.3 * _bell(rng, size)[:, None] + 0.65 * _bell(rng, size, n_items)
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
    return users[order], items[order], stars_given[order]


def _schedule(
    rng: np.random.Generator, films: _Catalogue, users: Long, items: Long
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
    span = np.minimum(_LOG_SECONDS, 120.0 * 86_400 * np.exp(1.1 * _bell(rng, n_users)))
    stretch = np.minimum(span / total, 20.0)
    begin = rng.random(n_users) * (_LOG_SECONDS - stretch * total)
    seconds = np.floor(begin[users] + stretch[users] * (elapsed - start[users]))
    # Rounding may join two moments of a crowded evening; a second per film keeps them apart.
    position = np.arange(len(items)) - np.concatenate([[0], last[:-1] + 1])[users]
    return order, (_LOG_START + seconds.astype(np.int64) + position).astype(np.int64)
