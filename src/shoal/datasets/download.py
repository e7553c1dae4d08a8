"""Fetch one file over HTTP: resumable, checked against its hash, put in place in one move.

The file grows in ``<target>.part``; ``<target>.part.from`` keeps the address and the version of the
remote file, by which a later run knows whether it has changed.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import urlsplit

from shoal._version import __version__
from shoal.errors import DownloadError
from shoal.run import Progress, Silent, Step, human_bytes
from shoal.web import UnsafeRedirectError, opener, printable

_CHUNK = 1 << 18
_BACKOFF = 0.5  # seconds before the first retry; each further one waits twice as long
_SILENT: Progress = Silent()
_MEANING = {403: ": the server refuses to give it", 404: ": the publisher may have moved it"}


class _NoFTP(urllib.request.FTPHandler):
    """Follows no redirect to an FTP server."""

    def ftp_open(self, req: urllib.request.Request) -> NoReturn:
        raise urllib.error.URLError(f"a redirect to {req.full_url}, which is not http or https")


class _PassingError(Exception):
    """A failure that another attempt may mend."""


@dataclass(frozen=True)
class _Job:
    """One download: what is fetched, where it goes, and what is known of it beforehand."""

    url: str
    target: Path
    part: Path
    memo: Path
    hashes: dict[str, str]
    size: int | None
    timeout: float
    progress: Progress

    def error(self, what: str, hint: str = "") -> DownloadError:
        if size := _size(self.part):
            hint += f" {human_bytes(size)} ({size} bytes) are kept in {self.part}: "
            hint += "running the same command again continues from there."
        return DownloadError(f"{self.url}: {what}.{hint}")

    def unreachable(self, what: str) -> DownloadError:
        hint = " Check the network, or fetch the address by hand on another machine and "
        return self.error(what, f"{hint}place the file at {self.target}.")

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.memo.unlink(missing_ok=True)


def fetch_file(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    progress: Progress = _SILENT,
    timeout: float = 30.0,
    retries: int = 3,
) -> Path:
    """Download `url` to `target`, continuing what an earlier run left behind.

    Parameters
    ----------
    url, target : str, Path
        An ``http`` or ``https`` address, and where the file goes. A file that is already there
        is kept if its hash is right, or if no hash is known.
    sha256, md5, size : optional
        Hashes in hexadecimal and size in bytes that the file must have; those given are checked.
    progress : Progress, optional
        Where the bytes are counted.
    timeout : float, optional
        Seconds that the server may stay silent.
    retries : int, optional
        Number of further attempts, each after a longer pause.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    DownloadError
        The address gives no whole file, its hash is wrong, or the disk is full.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise DownloadError(f"{url}: only http and https addresses are fetched.")
    hashes = {name: value.lower() for name, value in (("sha256", sha256), ("md5", md5)) if value}
    part, memo = (target.with_name(target.name + end) for end in (".part", ".part.from"))
    job = _Job(url, target, part, memo, hashes, size, timeout, progress)
    if target.is_file() and _mismatch(job, target) is None:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(job, retries)
        _put_in_place(job)
    except DownloadError:
        raise
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        why = "the disk is full, free some space" if full else error.strerror or error
        raise job.error(f"cannot write {part} ({why})") from error
    return target


def _put_in_place(job: _Job) -> None:
    """Check the downloaded file, and move it to its target."""
    if wrong := _mismatch(job, job.part):
        job.discard()
        raise job.error(wrong, " It is deleted: try again, or ask the publisher what changed.")
    with job.part.open("rb") as file:
        os.fsync(file.fileno())
    job.part.replace(job.target)
    job.memo.unlink(missing_ok=True)


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """Return the hash of a file of any size, in hexadecimal."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return digest.hexdigest()


def _mismatch(job: _Job, path: Path) -> str | None:
    """How a file differs from what is expected; None if it does not."""
    if job.size is not None and _size(path) != job.size:
        return f"expected {job.size} bytes, found {_size(path)}"
    for algorithm, expected in job.hashes.items():
        if (actual := file_hash(path, algorithm)) != expected:
            return f"expected {algorithm} {expected}, found {actual}"
    return None


def _download(job: _Job, retries: int) -> None:
    """Try until the whole file is in ``.part``, or there are no attempts left."""
    for attempt in range(retries + 1):
        try:
            return _attempt(job)
        except _PassingError as error:
            if attempt == retries:
                raise job.unreachable(f"{error} (attempts: {retries + 1})") from error
        time.sleep(_BACKOFF * 2**attempt)
    return None


def _attempt(job: _Job) -> None:
    """Ask once for what is missing, and write it to ``.part``."""
    have, identity = _size(job.part), _recall(job)
    if have and identity is None and not job.hashes:
        have = 0  # nothing could tell that the old bytes and the new ones are of the same file
    try:
        response = _request(job, have, identity)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and have:  # the file has no byte after those that are here
                if _range(error.headers)[1] != have:
                    job.discard()
                    return _attempt(job)
                return None
            raise _http_error(job, error) from error
    except (OSError, http.client.HTTPException) as error:
        text = _no_answer(error, job.timeout)
        untrusted = isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError)
        if untrusted or isinstance(error, UnsafeRedirectError):
            raise job.unreachable(text) from error
        raise _PassingError(text) from error
    with response:
        start, total = _range(response.headers)
        if response.status == 206:
            changed = identity is not None and _identity(response.headers) not in {None, identity}
            if start != have or changed:
                if not have:
                    raise _PassingError("the server sent a piece of the file, not the file")
                job.discard()
                return _attempt(job)
        else:
            have, total = 0, _length(response.headers)
        if None not in (job.size, total) and total != job.size:
            job.discard()
            hint = " Ask the publisher what changed."
            raise job.error(f"expected {job.size} bytes, found {total}", hint)
        total = job.size if total is None else total
        _append(job, response, have, total)
    if total is not None and (size := _size(job.part)) < total:
        raise _PassingError(f"the connection ended after {size} of {total} bytes")
    return None


def _request(job: _Job, have: int, identity: str | None) -> http.client.HTTPResponse:
    """Ask for the bytes from `have` on, if the file is still the one of that identity."""
    headers = {"User-Agent": f"shoal/{__version__}"}
    if have:
        headers["Range"] = f"bytes={have}-"
        headers |= {"If-Range": identity} if identity else {}
    request = urllib.request.Request(job.url, headers=headers)  # noqa: S310 - scheme is checked
    response: http.client.HTTPResponse = opener(job.url, _NoFTP()).open(
        request, timeout=job.timeout
    )
    return response


def _http_error(job: _Job, error: urllib.error.HTTPError) -> Exception:
    """What an HTTP code means: another attempt may succeed, or not."""
    text = printable(f"HTTP {error.code} {error.reason}")
    if error.code >= 500 or error.code in {408, 425, 429}:
        return _PassingError(text)
    return job.unreachable(text + _MEANING.get(error.code, ""))


def _append(job: _Job, response: http.client.HTTPResponse, have: int, total: int | None) -> None:
    """Write an answer behind the `have` bytes that are in ``.part``."""
    label, mode = f"fetch {job.target.name}", "ab" if have else "wb"
    with job.part.open(mode) as out, job.progress.step(label, total) as step:
        if not have:  # only now, when the old bytes are gone
            job.memo.write_text(f"{job.url}\n{_identity(response.headers) or ''}")
        step.advance(have)
        left = None if job.size is None else max(0, job.size - have)
        _copy(response, out, step, job.timeout, left)


def _copy(
    response: http.client.HTTPResponse, out: IO[bytes], step: Step, timeout: float, left: int | None
) -> None:
    """Write the content of an answer to a file, piece by piece; `left` bytes of it are expected."""
    missing = _length(response.headers)
    if missing is None and left is not None:
        missing = left + 1  # one more than there should be shows that there are more
    while missing != 0:
        try:
            # read1, so that what came before a silence is written and not lost.
            chunk = response.read1(_CHUNK if missing is None else min(_CHUNK, missing))
        except (OSError, http.client.HTTPException) as error:
            raise _PassingError(_no_answer(error, timeout)) from error
        if not chunk:
            return
        out.write(chunk)
        step.advance(len(chunk))
        missing = None if missing is None else missing - len(chunk)


def _no_answer(error: BaseException, timeout: float) -> str:
    """Why the server gave no answer, in words."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"the server was silent for {timeout:g} s"
    return f"no connection ({printable(reason)})"


def _recall(job: _Job) -> str | None:
    """The identity of the remote file that ``.part`` was begun from, if it is known."""
    url, _, identity = (job.memo.read_text() if job.memo.exists() else "").partition("\n")
    return identity if identity and url == job.url else None


def _identity(headers: Message) -> str | None:
    """What tells one version of a remote file from another: its ETag, or its date."""
    etag = headers.get("ETag", "W/")  # a weak one promises no equal bytes: not for If-Range
    return headers.get("Last-Modified") if etag.startswith("W/") else etag


def _range(headers: Message) -> tuple[int | None, int | None]:
    """Read ``Content-Range: bytes start-end/total``; either number may be missing."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", headers.get("Content-Range", ""))
    start, total = match.groups() if match else (None, None)
    return int(start) if start else None, int(total) if total and total != "*" else None


def _length(headers: Message) -> int | None:
    length = headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
