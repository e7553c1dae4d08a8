"""How much of a file is unpacked and held: more is refused before it fills the memory."""

from __future__ import annotations

from pathlib import Path

from shoal.errors import DataError
from shoal.run import human_bytes

PIECE = 4 << 20  # bytes of text that are parsed at once
SMALL = 64 << 20  # bytes of rows that are read whatever the memory budget is
LONGEST_LINE = 64 << 20  # bytes of one line, which has to be in memory whole
LONGEST_QUOTED = 1 << 20  # bytes of a value in quotes that spans lines
WHOLE = 1 << 30  # bytes of a file that can only be read as a whole, such as a JSON array

# a packed file may unpack to this many bytes, and beyond that to this many times its size:
# logs shrink to a third or a thirtieth, whereas a file of zeros shrinks to a thousandth
_UNPACKED, _RATIO = 256 << 20, 250


def check_unpacked(name: object, packed: int, unpacked: int) -> None:
    """Refuse a packed file that unpacks to far more than a log would.

    Parameters
    ----------
    name : str or Path
        The file, for the error message.
    packed, unpacked : int
        Its size in bytes, and how many bytes it has given so far or says that it holds.

    Raises
    ------
    DataError
    """
    if unpacked > max(_UNPACKED, _RATIO * packed):
        raise DataError(
            f"{name} has {human_bytes(packed)} and unpacks to more than "
            f"{human_bytes(max(_UNPACKED, _RATIO * packed))}, which no log does. If it is one, "
            "unpack it yourself and name the unpacked file"
        )


def check_whole(path: Path, size: int, way_out: str) -> None:
    """Refuse a file that is too large to be read as a whole."""
    if size > WHOLE:
        raise DataError(
            f"{path} has more than {human_bytes(WHOLE)} and can only be read as a whole: {way_out}"
        )
