"""Notes on a comparison, the long ones folded: what they list is seen once they are opened."""

from __future__ import annotations

from collections.abc import Sequence

_LONG = 200  # letters of a note that is shown whole


def folded(notes: Sequence[str]) -> list[tuple[str, str]]:
    """Each note as what is always shown and what is folded, which is empty for short notes.

    A long note is parted at its first colon: it says what it is about, and then lists models.
    """
    found = []
    for note in notes:
        about, colon, rest = str(note).partition(": ")
        if len(note) > _LONG and colon and len(about) < _LONG:
            found.append((about, rest))
        else:
            found.append((str(note), ""))
    return found
