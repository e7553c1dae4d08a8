"""Requests to the service: keys, waits, repetitions, and errors in the service's own words."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from shoal._version import __version__
from shoal.errors import MissingExtraError, RequestError
from shoal.web import is_this_machine, printable

if TYPE_CHECKING:
    import httpx

Answer = dict[str, Any]

_BUSY = (429, 503)  # statuses that say "later"
_FIRST_WAIT = 0.1  # seconds before the first repetition; doubled each time
_LONGEST_WAIT = 30.0  # of one wait: a service that asks for more is not waited for


class Connection:
    """Connections to one service, for any number of threads; parameters as for `Client`."""

    def __init__(
        self,
        url: str,
        key: str | None,
        timeout: float,
        retries: int,
        transport: httpx.BaseTransport | None,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtraError("the client needs httpx: pip install 'shoal[client]'") from None
        self.url = _checked_url(url)
        if retries < 0:
            raise ValueError(f"retries={retries}: give 0 or more")
        self.retries = retries
        headers = {"User-Agent": f"shoal-client/{__version__}", "Accept": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {_checked_key(key)}"
        self._httpx = httpx
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=timeout,
            transport=transport,
            trust_env=not is_this_machine(self.url),  # no proxy gets what is for this machine
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, method: str, path: str, **how: Any) -> Answer:
        """Send a request as `response` does; gives the JSON object that came back."""
        response = self.response(method, path, **how)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise RequestError(
                f"{self.url}{path} answered with something that is no JSON object: is this a shoal "
                "service?",
                status=response.status_code,
            )
        return answer

    def response(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
        allow: Sequence[int] = (),
    ) -> httpx.Response:
        """Send a request, again where that helps; raises what is no success."""
        content = None if body is None else _json(body)
        sent = {**(headers or {}), **({} if body is None else {"Content-Type": "application/json"})}
        httpx = self._httpx
        lost = (httpx.NetworkError, httpx.RemoteProtocolError)  # the answer, if any, is lost
        for attempt in range(self.retries + 1):
            last = attempt == self.retries
            try:
                response = self._http.request(
                    method, path, params=params, content=content, headers=sent
                )
            except httpx.HTTPError as error:
                never_sent = isinstance(error, httpx.ConnectError)
                if last or not (never_sent or (repeatable and isinstance(error, lost))):
                    raise RequestError(self._no_answer(error)) from None
                time.sleep(_backoff(attempt))
                continue
            if response.is_success or response.status_code in allow:
                return response
            wait = _wait(response, attempt)
            if last or response.status_code not in _BUSY or wait is None:
                raise self._refused(response, path)
            time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _no_answer(self, error: httpx.HTTPError) -> str:
        if isinstance(error, self._httpx.TimeoutException):
            return f"{self.url} did not answer in time: raise timeout, or look at its load"
        return f"{self.url} cannot be reached ({printable(error)}): is the service running there?"

    def _refused(self, response: httpx.Response, path: str) -> RequestError:
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if not isinstance(problem, dict):
            problem = {}
        status = response.status_code
        words = problem.get("detail") or problem.get("title") or response.reason_phrase
        return RequestError(
            f"{path}: {printable(words, 1000)} (status {status})",
            status=status,
            problem=problem,
            request_id=problem.get("request_id") or response.headers.get("x-request-id"),
        )


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url {printable(url)!r}: write http://HOST:PORT or https://HOST")
    if parts.username is not None or parts.password is not None:
        raise ValueError("url: leave out user and password, and give the service's key as `key`")
    return url.rstrip("/")


def _checked_key(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("key: only printable ASCII characters without spaces can be a key")
    return key


def segment(value: Any) -> str:
    """An id as one segment of a path, whatever characters it has."""
    text = quote(str(value), safe="")
    if not text:
        raise ValueError("an id is empty")
    return text.replace(".", "%2E") if not text.strip(".") else text  # "..": no way upwards


def given(**fields: Any) -> Answer:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def _json(body: Any) -> bytes:
    return json.dumps(body, default=_plain, allow_nan=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    """What json does not know: numbers and arrays of numpy, times, other sequences."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence | set | frozenset):
        return list(value)
    raise TypeError(f"a {type(value).__name__} cannot be sent as JSON")


def _backoff(attempt: int) -> float:
    """Seconds to wait: twice as long each time, and drawn, so that clients do not come at once."""
    return _FIRST_WAIT * 2.0**attempt * random.uniform(0.5, 1.5)  # noqa: S311 - no secret


def _wait(response: httpx.Response, attempt: int) -> float | None:
    """Seconds to wait before asking a busy service again; None where it asks for too many."""
    asked = response.headers.get("retry-after", "").strip()
    if not asked:
        return _backoff(attempt)
    try:
        seconds = float(asked) if asked.isdecimal() else _until(asked)
    except ValueError:
        return _backoff(attempt)
    return None if seconds > _LONGEST_WAIT else seconds + _backoff(0)


def _until(text: str) -> float:
    """Seconds until a date of HTTP."""
    return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
