"""The films of the demo catalogue: titles, series, genres, and how popular each is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from shoal.datasets._demo_draws import bell, integers, pick, turns
from shoal.datasets._demo_theme import Theme
from shoal.datasets._demo_words import THEMES
from shoal.kernels.arrays import Bool, Double, Long

N_THEMES = len(THEMES)
N_STRANDS = 3
ROMAN = ("I", "II", "III", "IV", "V")

_LAST_YEAR = 2021
_SEQUEL_FIRST = -3.0  # starting a series in the middle; in nats of the odds to pick a film


@dataclass(frozen=True)
class Catalogue:
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
    key += turns(key, words * (len(theme.extras) + 1) + extras)  # the same two words: much later
    return [titles[index] for index in np.lexsort((key, turns(key, words)))[::-1]]


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
        strand = pick(rng, weights * not_empty)
        theme = THEMES[strand // N_STRANDS]
        title = pools[strand].pop()
        # A title with a pause or a question in it does not take a numeral and a subtitle.
        serial = rng.random() < theme.serial and not any(mark in title for mark in ":?,")
        length = min(2 + int(4 * rng.random() ** 2) if serial else 1, n_items - len(titles))
        gaps = np.concatenate([[0], 1 + integers(rng, 4, length - 1)]).cumsum()
        first_year = _LAST_YEAR - int(65 * rng.random() ** 1.6)
        release = min(first_year, _LAST_YEAR - int(gaps[-1])) + gaps
        subtitles = np.argsort(rng.random(len(theme.sequels)), kind="stable")
        worth = 0.8 * float(bell(rng, 1)[0])
        for part in range(length):
            previous.append(len(titles) - 1 if part else -1)
            subtitle = f" {ROMAN[part]}: {theme.sequels[subtitles[part]]}" if part else ""
            titles.append(title + subtitle)
            series.append(title if length > 1 else None)
            strands.append(strand)
            years.append(int(release[part]))
            parts.append(part + 1)
            quality.append(worth + 0.6 * float(bell(rng, 1)[0]) - 0.15 * part)
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


def make_catalogue(rng: np.random.Generator, n_items: int) -> Catalogue:
    """Invent films, decide how popular each is, and give them ids in random order."""
    pools = [_strand_titles(rng, theme, strand) for theme in THEMES for strand in range(N_STRANDS)]
    weights = np.repeat([theme.weight for theme in THEMES], N_STRANDS).astype(np.float64)
    films = _invent_films(rng, pools, weights, n_items)
    n_works = int(films.work[-1]) + 1
    rank = np.argsort(np.argsort(rng.random(n_works), kind="stable"), kind="stable")[films.work]
    log_popularity = -1.2 * np.log(rank * (n_items / n_works) + 12.0 * n_items / 1200)
    log_popularity += 0.5 * np.log(weights[films.strands]) + 0.25 * films.quality
    log_popularity += _SEQUEL_FIRST * (films.parts > 1)
    blockbuster = (rank < max(1, n_items // 120)) & (films.parts == 1)
    log_popularity += 0.9 * blockbuster
    crossover = rng.random(n_items) < 0.1
    second = np.where(crossover, integers(rng, len(pools), n_items), films.strands)
    second = second[np.searchsorted(films.work, films.work)]  # the same for a whole series

    shuffle = np.argsort(rng.random(n_items), kind="stable")  # film f gets id shuffle⁻¹(f)
    place = np.argsort(shuffle, kind="stable")
    before = films.previous[shuffle]
    return Catalogue(
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
        tone=bell(rng, n_works)[films.work][shuffle],
    )


def film_table(catalogue: Catalogue, item_ids: list[str]) -> pl.DataFrame:
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


def _genres(strand: int, second: int) -> str:
    own, other = THEMES[strand // N_STRANDS], THEMES[second // N_STRANDS]
    crossover = [other.genre] if other.genre != own.genre else []
    return "|".join([own.genre, own.name, *crossover])
