"""Quotes of delimited text: which ones enclose a value, and which ones are part of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shoal.kernels.compiling import jit

Bytes = NDArray[np.uint8]

QUOTE, NEWLINE, RETURN = 34, 10, 13

# what `rewrite` says of the text that it was given
DONE, AMBIGUOUS, TOO_WIDE, NEVER_CLOSED = 0, 1, 2, 3
# how quotes are read: the two readings are tried, or one of them is asked for
EITHER, SPANNING, IN_LINE = 0, 1, 2


@jit()
def _value_end(text: Bytes, begin: int, separator: int) -> int:
    """Position of the separator or line end that follows `begin`, or the length of the text."""
    end = begin
    while end < text.size and text[end] != separator and text[end] != NEWLINE:
        end += 1
    return end


@jit()
def _closing_quote(text: Bytes, begin: int, in_line: bool) -> tuple[int, int]:
    """Position of the quote that closes the one at `begin`, or −1, and the line ends before it."""
    at, lines = begin + 1, 0
    while at < text.size:
        if text[at] == QUOTE:
            if at + 1 < text.size and text[at + 1] == QUOTE:
                at += 2
                continue
            return at, lines
        if text[at] == NEWLINE:
            if in_line:
                return -1, lines
            lines += 1
        at += 1
    return -1, lines


@jit()
def _line_width(text: Bytes, begin: int, separator: int) -> tuple[int, int]:
    """How many values a line has if no quoted value spans lines, and where the next line begins."""
    at, width = begin, 1
    while at < text.size:
        if text[at] == QUOTE:
            closing, _ = _closing_quote(text, at, True)
            if closing >= 0:
                at = closing + 1
        at = _value_end(text, at, separator)
        if at >= text.size or text[at] == NEWLINE:
            break
        width += 1
        at += 1
    return width, at + 1


@jit()
def _lines_fit(text: Bytes, begin: int, last: int, separator: int, width: int) -> bool:
    """Whether each line from `begin` to the one that holds `last` has so many values by itself."""
    at = begin
    while at <= last and at < text.size:
        found, at = _line_width(text, at, separator)
        if found != width:
            return False
    return True


@jit()
def _row_fits(text: Bytes, begin: int, separator: int, width: int) -> int:
    """Whether a row of lines has so many values; −1 if a quote of it is not closed."""
    at, found = begin, 1
    while at < text.size:
        if text[at] == QUOTE:
            closing, lines = _closing_quote(text, at, False)
            if closing < 0:
                return -1
            at = closing + 1
            if at < text.size and text[at] == RETURN:
                at += 1
            if lines and at < text.size and text[at] != separator and text[at] != NEWLINE:
                return 0  # text after the closing quote
        at = _value_end(text, at, separator)
        if at >= text.size or text[at] == NEWLINE:
            break
        found += 1
        at += 1
    return 1 if found == width else 0


@jit()
def _copy(text: Bytes, begin: int, end: int, out: Bytes, size: int, double: bool) -> int:
    """Append text[begin:end] to `out`, with its quotes doubled where they are part of the value."""
    for at in range(begin, end):
        out[size] = text[at]
        size += 1
        if double and text[at] == QUOTE:
            out[size] = QUOTE
            size += 1
    return size


@jit()
def rewrite(
    text: Bytes, separator: int, width: int, reading: int, longest: int, last: bool
) -> tuple[Bytes, int, int, int, int, int, int]:
    """Rewrite delimited text so that every quote in it encloses a value or is doubled.

    A value that begins with a quote is enclosed by it and the next single quote; what follows that
    up to the separator belongs to the value, as in Python's csv module. A quote that is not closed
    in its line either encloses several lines, if the row then has the right number of values and
    nothing follows the closing quote, or is a part of the value, if the line has the right number
    of values by itself. Where both fit for all lines in question, neither is taken. Blank lines
    are left out.

    Parameters
    ----------
    text : (n,) uint8
        It begins with a row, and ends with a line end.
    separator : int
    width : int
        The number of values in a row.
    reading : int
        `EITHER`, or `SPANNING` (quotes may always span lines) or `IN_LINE` (never).
    longest : int
        A value within quotes has at most so many bytes.
    last : bool
        Whether no further text follows.

    Returns
    -------
    out : uint8
        The text rewritten, of which the first `size` bytes count.
    size : int
    consumed : int
        How much of `text` was rewritten: the rest is the beginning of a row that is not complete.
    rows : int
    state : int
        `DONE`; `AMBIGUOUS` where both readings fit, `TOO_WIDE` where a row has more values than
        `width`, `NEVER_CLOSED` where a quote is not closed in its line and neither reading fits.
    line : int
        Index of the line in question, where the state is not `DONE`, otherwise of the first line
        with a quote that is not closed and is a part of a value, or −1.
    unclosed : int
        How many such quotes there are.
    """
    quotes = 0
    for byte in text:
        quotes += byte == QUOTE
    out = np.empty(text.size + 3 * quotes + 16, np.uint8)
    size = at = rows = line = unclosed = 0
    first_unclosed = -1
    while at < text.size:
        begin, row_line, found = at, line, 1
        if text[at] == NEWLINE or (
            text[at] == RETURN and at + 1 < text.size and text[at + 1] == NEWLINE
        ):
            at += 1 + (text[at] == RETURN)
            line += 1
            continue
        row_out = size
        while True:
            value = at
            quoted = at < text.size and text[at] == QUOTE
            closing, lines = -1, 0
            if quoted:
                closing, lines = _closing_quote(text, at, reading == IN_LINE)
                far = closing < 0 and (last or text.size - at > longest)
                if closing < 0 and not far and reading != IN_LINE:
                    return out, row_out, begin, rows, DONE, first_unclosed, unclosed
                if closing < 0 and reading == SPANNING:
                    return out, row_out, begin, rows, NEVER_CLOSED, line, unclosed
                if lines and closing >= 0 and reading == EITHER:
                    row = _row_fits(text, begin, separator, width)
                    if row < 0 and not last and text.size - begin <= longest:
                        return out, row_out, begin, rows, DONE, first_unclosed, unclosed
                    if row == 1 and _lines_fit(text, begin, closing, separator, width):
                        return out, row_out, begin, rows, AMBIGUOUS, line, unclosed
                    if row != 1:
                        closing = -1
                if closing < 0:
                    if reading == EITHER and _line_width(text, begin, separator)[0] != width:
                        return out, row_out, begin, rows, NEVER_CLOSED, line, unclosed
                    unclosed += 1
                    first_unclosed = line if first_unclosed < 0 else first_unclosed
                else:
                    line += lines
            if closing >= 0:
                at = _value_end(text, closing + 1, separator)
                end = at - (at > closing + 1 and text[at - 1] == RETURN)
                size = _copy(text, value, closing, out, size, False)
                size = _copy(text, closing + 1, end, out, size, True)
                out[size] = QUOTE
                size += 1
            else:
                at = _value_end(text, at, separator)
                end = at - (at > value and text[at - 1] == RETURN)
                holds = quoted
                for place in range(value, end):
                    holds = holds or text[place] == QUOTE
                if holds:
                    out[size] = QUOTE
                    size = _copy(text, value, end, out, size + 1, True)
                    out[size] = QUOTE
                    size += 1
                else:
                    size = _copy(text, value, end, out, size, False)
            if at >= text.size or text[at] == NEWLINE:
                break
            out[size] = separator
            size += 1
            at += 1
            found += 1
        if found > width:
            return out, row_out, begin, rows, TOO_WIDE, row_line, unclosed
        out[size] = NEWLINE
        size += 1
        at += 1
        line += 1
        rows += 1
    return out, size, min(at, text.size), rows, DONE, first_unclosed, unclosed
