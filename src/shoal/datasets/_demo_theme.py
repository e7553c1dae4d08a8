"""What a theme of the demo catalogue is: one kind of film, and how its titles are made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """One kind of film, and how its titles are made.

    Parameters
    ----------
    name, genre : str
        Sub-genre (``"Baking"``) and genre (``"Documentary"``).
    weight : float
        How many films it has and how many people like it, against the other themes.
    serial : float
        Share of its works that are series.
    likes, avoids : tuple of str
        Names of the themes that its fans also lean to, or keep away from.
    frames : tuple of str
        Title patterns; ``{x}`` takes a word of the strand, ``{a}`` a word of `extras`.
    extras, sequels : tuple of str
        Words that every strand shares; subtitles of second and later parts.
    strands : tuple of tuple of str
        The words that mark each strand.
    """

    name: str
    genre: str
    weight: float
    serial: float
    likes: tuple[str, ...]
    avoids: tuple[str, ...]
    frames: tuple[str, ...]
    extras: tuple[str, ...]
    strands: tuple[tuple[str, ...], ...]
    sequels: tuple[str, ...]


def words(text: str) -> tuple[str, ...]:
    """Read words and patterns that are written one after the other, with semicolons between."""
    return tuple(" ".join(word.split()) for word in text.split(";"))
