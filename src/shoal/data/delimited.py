"""Text files with separators, parsed piece by piece, with every line accounted for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from shoal.data.dialect import BLANKS, Dialect, cells_of
from shoal.data.lazy import lazy_frame
from shoal.data.limits import LONGEST_QUOTED
from shoal.data.unpack import whole_lines
from shoal.errors import DataError
from shoal.kernels import quotes

_UNIT = "\x1f"  # stands for separators of several characters
_READINGS = {"auto": quotes.EITHER, "csv": quotes.SPANNING}


@dataclass(frozen=True)
class _Piece:
    """Whole lines of a file, and where they stand."""

    path: Path
    text: bytes
    line: int  # number of the first line, from 1
    last: bool


@dataclass
class DelimitedFiles:
    """Text files of one dialect.

    Parameters
    ----------
    files : tuple of Path
    name : str
        Name of the log, for error messages.
    dialect : Dialect
    skip : int
        How many lines at the beginning of each file are no rows.
    rows : int, optional
        How many rows the file itself says that it has.
    header : str
        The line that names the columns.
    notes : list of str
        What a person should know about the lines, filled while the files are read.
    """

    files: tuple[Path, ...]
    name: str
    dialect: Dialect
    skip: int = 0
    rows: int | None = None
    header: str = ""
    notes: list[str] = field(default_factory=list)

    def frame(self) -> pl.LazyFrame:
        """All rows, with every column as text."""
        return lazy_frame(self._frames, pl.Schema(dict.fromkeys(self.dialect.names, pl.String)))

    def _frames(self) -> Iterator[pl.DataFrame]:
        """Parse the files, as polars asks for it."""
        n_rows = 0
        for path in self.files:
            skip, rest, rest_line = self.skip, b"", 0
            for lines, first, last in whole_lines(path):
                text, line = rest + lines, rest_line if rest else first
                while skip and text:
                    text = text[text.index(b"\n") + 1 :]
                    skip, line = skip - 1, line + 1
                text = self._without_repeated_header(text)
                frame, rest = self._parse(_Piece(path, text, line, last))
                rest_line = line + text.count(b"\n", 0, len(text) - len(rest))
                n_rows += len(frame)
                if len(frame):
                    yield frame
        if self.rows is not None and n_rows != self.rows:
            raise DataError(
                f"{self.name} says that it has {self.rows:,} entries, and has {n_rows:,}: is it "
                "cut?"
            )

    def _without_repeated_header(self, text: bytes) -> bytes:
        """The rows without lines that repeat the header, as files that were joined have them."""
        header = self.header.encode()
        if not header or header not in text:
            return text
        again = re.compile(rb"^" + re.escape(header) + rb"(?=\r?$)", re.MULTILINE)
        if not again.search(text):
            return text
        note = "the header comes again below: files were joined, and these lines are left out"
        if note not in self.notes:
            self.notes.append(note)
        return again.sub(b"", text)

    def _parse(self, piece: _Piece) -> tuple[pl.DataFrame, bytes]:
        """The rows of a piece, and the beginning of a row that it holds only in part."""
        separator, text, rest = self.dialect.separator, piece.text, b""
        quoted = self.dialect.quotes != "none" and separator not in ("::", BLANKS)
        if self.dialect.basket:
            return self._baskets(piece), rest
        if separator == "::":
            text, separator = text.replace(b"::", _UNIT.encode()), _UNIT
        elif separator == BLANKS:
            text = re.sub(rb"[ \t\r]*\n[ \t\r\n]*", b"\n", text.lstrip())
            text = re.sub(rb"[ \t]+", _UNIT.encode(), text)
            separator = _UNIT
        if quoted and b'"' in text:
            text, rows, rest = self._without_stray_quotes(piece)
        else:
            quoted = False
            text = _without_blank_lines(text)
            rows = text.count(b"\n")
        if not text:
            return pl.DataFrame(schema=dict.fromkeys(self.dialect.names, pl.String)), rest
        # polars wants the first line to have all values, which an empty row at the top has
        top = separator.encode() * (len(self.dialect.names) - 1) + b"\n"
        try:
            frame = pl.read_csv(
                top + text,
                has_header=False,
                separator=separator,
                quote_char='"' if quoted else None,
                schema=dict.fromkeys(self.dialect.names, pl.String),
            )
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise self._fault(piece, error) from error
        frame = frame.slice(1)
        if len(frame) != rows:
            raise DataError(
                f"{self._place(piece)}: {rows:,} lines from line {piece.line} on were parsed as "
                f"{len(frame):,} rows, so quotes or line ends are not what they seem. Say how "
                "quotes are used: --quotes csv or --quotes none"
            )
        return frame, rest

    def _without_stray_quotes(self, piece: _Piece) -> tuple[bytes, int, bytes]:
        """The text with every quote enclosing or doubled, its rows, and what is left over."""
        out, size, consumed, rows, state, line, unclosed = quotes.rewrite(
            np.frombuffer(piece.text, np.uint8),
            ord(self.dialect.separator),
            len(self.dialect.names),
            _READINGS[self.dialect.quotes],
            LONGEST_QUOTED,
            piece.last,
        )
        where = f"{self._place(piece)}: line {piece.line + line}"
        if state == quotes.TOO_WIDE:
            raise self._fault(piece, None)
        if state == quotes.AMBIGUOUS:
            raise DataError(
                f"{where} has a quote that is closed in a later line, and both readings fit: one "
                "value over several lines, or lines with stray quotes. Say which: --quotes csv or "
                "--quotes none"
            )
        if state == quotes.NEVER_CLOSED:
            raise DataError(
                f"{where} has a quote that is not closed where its value ends. Close it, double "
                "it, or say that quotes mean nothing here: --quotes none"
            )
        if unclosed and not any("not closed" in note for note in self.notes):
            self.notes.append(
                f"line {piece.line + line} of {piece.path.name} has a quote that is not closed: "
                "taken as part of the value, there and in other lines (--quotes none or csv)"
            )
        if not piece.last and consumed == 0 and len(piece.text) > 4 * LONGEST_QUOTED + len(out):
            raise DataError(f"{where} begins a row that does not end")
        return out[:size].tobytes(), rows, piece.text[consumed:]

    def _baskets(self, piece: _Piece) -> pl.DataFrame:
        """A row for each item of each line; a line without an item has none."""
        try:
            text = piece.text.decode()
        except UnicodeDecodeError as error:
            raise self._fault(piece, error) from error
        lines = pl.DataFrame({"line": text.split("\n")}, schema={"line": pl.String})
        line = pl.col("line").str.strip_chars()
        if self.dialect.separator == BLANKS:
            line = line.str.replace_all(r"\s+", " ")
        cells = line.str.split(self.dialect.separator)
        user, items = self.dialect.names
        pairs = lines.select(cells.list.first().alias(user), cells.list.slice(1).alias(items))
        pairs = pairs.filter(pl.col(items).list.len() > 0).explode(items)
        clean = pl.all().str.strip_chars(' "\r\t').replace("", None)
        return pairs.with_columns(clean).filter(pl.col(items).is_not_null())

    def _place(self, piece: _Piece) -> str:
        return self.name if len(self.files) == 1 else str(piece.path)

    def _fault(self, piece: _Piece, error: BaseException | None) -> DataError:
        """What is wrong with a piece that cannot be parsed, and in which line."""
        where, separator = f"{self._place(piece)} cannot be parsed", self.dialect.separator
        width = len(self.dialect.names)
        for i, raw in enumerate(piece.text.split(b"\n")):
            try:
                line = raw.decode().rstrip("\r")
            except UnicodeDecodeError:
                return DataError(
                    f"{where}: line {piece.line + i} is not UTF-8 text: save the file as UTF-8"
                )
            if self.dialect.basket or not line:
                continue
            n = len(cells_of(line, separator, quoted=self.dialect.quotes != "none"))
            if n > width:
                return DataError(
                    f"{where}: line {piece.line + i} has {n} values, the first line {width}; quote "
                    f"values that hold a {separator!r}"
                )
        reason = str(error).strip().splitlines()[:1] if error is not None else []
        return DataError(f"{where}: {''.join(reason) or 'a row has too many values'}")


def _without_blank_lines(text: bytes) -> bytes:
    if text[:1] in (b"\n", b"\r"):
        text = text.lstrip(b"\r\n")
    if b"\n\n" in text or b"\n\r\n" in text:
        text = re.sub(rb"\r?\n[\r\n]+", b"\n", text)
    return text
