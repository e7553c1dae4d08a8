"""Tables of plain text, as wide as their cells: no cell is ever cut."""

from __future__ import annotations

from collections.abc import Sequence


def table_lines(rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Lines of a table, whose columns are as wide as their widest cell.

    Parameters
    ----------
    rows : sequence of sequences of str
        The first one is the header. A cell may have several lines.
    width : int, optional
        Characters of a line. A table that is wider becomes a list: the first cell of each row on
        a line of its own, and below it a line for each other cell, with its header.

    Returns
    -------
    list of str
    """
    split = [[cell.split("\n") for cell in row] for row in rows]
    widths = [
        max(len(part) for cell in column for part in cell) for column in zip(*split, strict=True)
    ]
    lines = []
    for row in split:
        for part in range(max(len(cell) for cell in row)):
            texts = [cell[part] if part < len(cell) else "" for cell in row]
            padded = (text.ljust(size) for text, size in zip(texts, widths, strict=True))
            lines.append("  ".join(padded).rstrip())
    if width is None or max(map(len, lines)) <= width:
        return lines
    header = [cell.replace("\n", "") for cell in rows[0]]
    lines = []
    for texts_of_row in rows[1:]:
        lines.append(texts_of_row[0])
        cells = zip(header[1:], texts_of_row[1:], strict=True)
        lines += [f"  {name} {' '.join(cell.split())}".rstrip() for name, cell in cells if cell]
    return lines
