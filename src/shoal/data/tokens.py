"""The words, numbers, texts and signs of an expression, and where each begins."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shoal.errors import DataError

KEYWORDS = {"and", "or", "not", "in", "is", "null", "has", "true", "false"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')
          |(?P<quoted>"(?:[^"]|"")*")
          |(?P<ticked>`[^`]*`)
          |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w]))
          |(?P<word>[^\W\d][\w.]*)
          |(?P<sign><=|>=|<>|!=|==|[=<>(),+*/-]))""",
    re.VERBOSE,
)
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?!\d)")


@dataclass(frozen=True)
class Token:
    """A piece of an expression.

    Parameters
    ----------
    kind : {"text", "quoted", "ticked", "number", "word", "keyword", "sign", "end"}
        ``quoted`` is a text in double quotes, ``ticked`` one in backticks.
    word : str
        As it is written; keywords in small letters.
    place : int
        Position of its first character.
    """

    kind: str
    word: str
    place: int

    @property
    def content(self) -> str:
        """A text without its quotes, or any other token as it is written."""
        if self.kind in ("text", "quoted", "ticked"):
            return self.word[1:-1].replace(self.word[0] * 2, self.word[0])
        return self.word


@dataclass(frozen=True)
class Written:
    """An expression as somebody wrote it.

    Parameters
    ----------
    text : str
    option : str
        What it was given as, such as ``where``; error messages begin with it.
    example : str
        An expression of that kind, for error messages.
    """

    text: str
    option: str
    example: str

    def fault(self, what: str, place: int) -> DataError:
        """The error that says what is wrong at a place."""
        rest = self.text[place : place + 30]
        here = f"{rest!r} (character {place + 1})" if rest else "the end"
        return DataError(
            f"{self.option}: {here} {what}, in {self.text[:200]!r}; write {self.example}"
        )

    def tokens(self) -> list[Token]:
        """The pieces of the expression, and a token ``end``.

        Raises
        ------
        DataError
            A character belongs to no token.
        """
        tokens, place, text = [], 0, self.text.rstrip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                while text[place].isspace():
                    place += 1
                hint = " (a quote is not closed)" if text[place] in "'\"`" else ""
                raise self.fault(f"cannot be read{hint}", place)
            kind = str(match.lastgroup)
            word, begin = match.group(kind), match.start(kind)
            if kind == "word" and word.lower() in KEYWORDS:
                kind, word = "keyword", word.lower()
            if kind == "number" and _DATE.match(text, begin):
                raise self.fault("is a date: put it in quotes", begin)
            tokens.append(Token(kind, word, begin))
            place = match.end()
        return [*tokens, Token("end", "", len(self.text))]
