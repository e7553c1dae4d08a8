"""Any server that speaks OpenAI's embeddings: ``POST {url}/embeddings`` with a model and texts.

The standard library is enough for one POST with a JSON body, so no HTTP client is a dependency.
The key is looked up for each request and never kept; it is taken out of what a server says before
that is shown.
"""

from __future__ import annotations

import email.utils
import http.client
import json
import os
import random
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import Message
from time import monotonic, sleep, time
from typing import Any, NoReturn
from urllib.parse import urlsplit

import numpy as np

from shoal._version import __version__
from shoal.errors import DataError, EmbeddingError
from shoal.kernels.arrays import Float
from shoal.text.embedder import Embedder, Note, ignore
from shoal.web import is_this_machine, opener, printable

KEY_VARIABLE = "OPENAI_API_KEY"
_LONGEST_PAUSE = 60.0  # seconds between two attempts, if the server names no pause
_PATIENCE = 600.0  # seconds: a server that asks for a longer pause is not waited for
_PASSING = {408, 409, 425, 429}  # after these codes, and all from 500 on, try again
# what an answer may hold: numbers of so many bytes, so many to a vector, and what stands around
_BYTES_PER_NUMBER, _LONGEST_VECTOR, _BYTES_AROUND = 32, 8_192, 1 << 20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which would carry the key to another address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _PassingError(Exception):
    """A failure that another attempt may mend, and how long the server asks to wait."""

    def __init__(self, what: str, pause: float | None = None) -> None:
        super().__init__(what)
        self.pause = pause


@dataclass
class Endpoint(Embedder):
    """Vectors over HTTP, from OpenAI or from vLLM, Ollama, text-embeddings-inference, ….

    Parameters
    ----------
    url : str
        Address of the server, up to and including ``/v1``.
    model : str
        Name of the model, as the server knows it.
    dimension : int, optional
        Numbers in a vector, sent to the server as ``dimensions``; not every model has a choice.
    batch_size : int
        Texts in one request. text-embeddings-inference takes 32 at most by default.
    key_variable : str, optional
        The environment variable that holds the key. It must be set, and its key is always sent.
        If no variable is named, ``OPENAI_API_KEY`` is sent if it is set, but only over https or to
        this machine.
    requests_per_minute : float, optional
        The most requests to send in a minute.
    timeout : float
        Seconds that the server may be silent.
    retries : int
        Number of further attempts after code 429, an error of the server or silence. The pause is
        what ``Retry-After`` says, or doubles from `backoff` seconds on, times a random factor of
        0.5 to 1.5.
    backoff : float
        Seconds of the first pause.
    """

    url: str
    model: str
    dimension: int | None = None
    batch_size: int = 32
    key_variable: str | None = None
    requests_per_minute: float | None = None
    timeout: float = 60.0
    retries: int = 6
    backoff: float = 0.5
    _last_request: float = field(default=-np.inf, init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if parts.scheme not in ("http", "https") or not host or port == 0:
            raise DataError("the address of an endpoint reads https://HOST/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise DataError(
                f"{parts.scheme}://{host}: write the address without user, key or question mark; "
                "a key goes into an environment variable (--key-variable)"
            )
        if not self.model:
            raise DataError(f"{self.url}: name the model as well, as in {self.url}#MODEL")
        self.url = self.url.rstrip("/")
        for name in ("dimension", "batch_size", "requests_per_minute", "timeout"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise DataError(f"{name}={value}: give a number above 0")
        self._headers()  # refuses a key that is missing before the long work

    @property
    def name(self) -> str:
        """``https://host/v1#model``, and the dimension if one was asked for."""
        return f"{self.url}#{self.model}" + (f"[:{self.dimension}]" if self.dimension else "")

    def embed(self, texts: Sequence[str], note: Note = ignore) -> Float:
        """Send one request, several times if need be. Errors name the address and never the key.

        Raises
        ------
        EmbeddingError
            No answer after all attempts, a refusal, or an answer without a vector for each text.
        """
        for attempt in range(self.retries + 1):
            try:
                return self._attempt(texts)
            except _PassingError as error:
                if attempt == self.retries:
                    self._fail(f"{error} (attempts: {attempt + 1})")
                pause = error.pause
                if pause is None:
                    doubled = min(_LONGEST_PAUSE, self.backoff * 2**attempt)
                    pause = doubled * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
                elif pause > _PATIENCE:
                    self._fail(f"{error}; it asks to be left alone for {pause:,.0f} s: try then")
                note(f"{error}, waiting {pause:.0f} s")
            sleep(pause)
            note("")
        raise AssertionError("the last attempt returns or fails")

    def _attempt(self, texts: Sequence[str]) -> Float:
        """Send a request once; `_PassingError` says that another attempt may succeed."""
        question: dict[str, Any] = {"model": self.model, "input": list(texts)}
        if self.dimension:
            question["dimensions"] = self.dimension
        if self.requests_per_minute:
            sleep(max(0.0, self._last_request + 60 / self.requests_per_minute - monotonic()))
        self._last_request = monotonic()
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked
            f"{self.url}/embeddings", json.dumps(question).encode(), self._headers(), method="POST"
        )
        try:
            client = opener(self.url, _NoRedirect())
            with client.open(request, timeout=self.timeout) as response:
                body = self._body(response, len(texts))
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error.code, error.headers, _read(error))
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                self._fail(
                    f"its certificate is not trusted ({self._clean(str(reason.verify_message))})"
                )
            if isinstance(reason, TimeoutError):
                raise _PassingError(f"silent for {self.timeout:g} s") from None
            raise _PassingError(f"no connection ({self._clean(str(reason))})") from None
        return self._vectors(body, len(texts))

    def _body(self, response: http.client.HTTPResponse, n: int) -> bytes:
        """The content of an answer, which is no longer than n vectors can be."""
        longest = max(self.dimension or 0, _LONGEST_VECTOR)
        limit = _BYTES_AROUND + n * longest * _BYTES_PER_NUMBER
        body = bytearray()
        while piece := response.read1(1 << 20):
            body += piece
            if len(body) > limit:
                self._fail(
                    f"the answer is longer than {n:,} vectors can be ({limit:,} bytes): is "
                    f"{self.url}/embeddings the address?"
                )
        if response.length:  # read1 does not say that the connection has ended too early
            raise http.client.IncompleteRead(bytes(body), response.length)
        return bytes(body)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": f"shoal/{__version__}"}
        if key := self._key():
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def _key(self) -> str:
        """The key to send; empty for none."""
        variable = self.key_variable or KEY_VARIABLE
        key = os.environ.get(variable, "").strip()
        if self.key_variable and not key:
            self._fail(f"the environment variable {variable}, which is to hold the key, is not set")
        # http.client's own error would print the key
        if not re.fullmatch(r"[!-~]*", key):
            self._fail(f"the key in {variable} holds a blank or a letter that no key has")
        private = self.url.startswith("https://") or is_this_machine(self.url)
        return key if self.key_variable or private else ""

    def _refused(self, code: int, headers: Message, body: bytes) -> NoReturn:
        """Raise what an answer with this HTTP code means."""
        said = self._said(body)
        what = f"HTTP {code}" + (f": {said}" if said else "")
        if (code in _PASSING or code >= 500) and "insufficient_quota" not in body.decode(
            "utf-8", "replace"
        ):
            raise _PassingError(what, _retry_after(headers)) from None
        if 300 <= code < 400:
            what += "; it redirects: give the address that it redirects to"
        if code in (401, 403):
            variable = self.key_variable or KEY_VARIABLE
            sent = "is not accepted" if self._key() else "was not sent"
            what += f"; the key of {variable} {sent}"
        if code in (404, 405):
            what += f"; is {self.url}/embeddings the address, and {self.model!r} its model?"
        self._fail(what)

    def _vectors(self, body: bytes, n: int) -> Float:
        """The n vectors of an answer, in the order of the texts."""
        try:
            data = json.loads(body)["data"]
            rows = sorted(
                ((row["index"], row["embedding"]) for row in data), key=lambda row: row[0]
            )
            if any(type(index) is not int for index, _ in rows):
                raise TypeError
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            self._fail(f"the answer is no list of embeddings ({type(error).__name__})")
        if [index for index, _ in rows] != list(range(n)):
            self._fail(f"asked for {n:,} vectors, got {len(rows):,} or some twice")
        lengths = {len(v) if isinstance(v, list) else 0 for _, v in rows}
        if len(lengths) > 1 or 0 in lengths:
            self._fail(f"vectors of different lengths ({min(lengths)} to {max(lengths)} numbers)")
        try:
            if any(isinstance(x, str | bool) for _, vector in rows for x in vector):
                raise TypeError
            with np.errstate(over="ignore"):  # becomes infinite, which is refused later
                return np.array([v for _, v in rows], np.float64).astype(np.float32)
        except (ValueError, TypeError, OverflowError):
            self._fail("a vector holds something that is no number")

    def _said(self, body: bytes) -> str:
        """What an answer says went wrong, in one short line; empty if it says nothing."""
        try:
            said = json.loads(body)
            for name in ("error", "message", "detail"):
                if isinstance(said, dict) and name in said:
                    said = said[name]
            text = said if isinstance(said, str) else json.dumps(said) if said else ""
        except (ValueError, RecursionError):
            return ""
        return self._clean(text)

    def _clean(self, text: str) -> str:
        """A text as one short line, without the key."""
        key = os.environ.get(self.key_variable or KEY_VARIABLE, "").strip()
        return printable(text.replace(key, "***") if key else text)

    def _fail(self, what: str) -> NoReturn:
        raise EmbeddingError(f"{self.url}: {what}") from None


def _read(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read(65_536)
    except (OSError, http.client.HTTPException):
        return b""


def _retry_after(headers: Message) -> float | None:
    """The seconds that a server asks to wait, which it writes as a number or as a date."""
    text = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time())
    except (ValueError, TypeError, OverflowError):
        return None
