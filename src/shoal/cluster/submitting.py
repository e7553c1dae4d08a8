"""Submitting a command to a cluster elsewhere, as a Ray job, and following its log.

The address is that of the head's dashboard, which Ray's API for jobs is part of. The job is the
same command with ``--on auto``; it goes on if the one who follows it is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import shlex
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shoal.cluster.connecting import HOW_TO_GET_IN
from shoal.cluster.ray_setup import OLDEST_RAY, import_ray
from shoal.errors import ClusterError
from shoal.web import opener, printable

ANSWER = 10.0  # seconds in which the dashboard must answer at first
CALL = 30.0  # and later
SILENCE = 30.0  # seconds in which a job prints nothing, until it is asked whether it still runs
CUT_OFF = 60.0  # seconds for which a cluster that no longer answers is asked again
STOPPING = 30.0  # seconds that a job may take to stop
_URL = re.compile(r"^[a-z][a-z0-9+.-]+:/")
_FIRST_LINE = "Running entrypoint for job "  # by Ray, before what the job prints

Say = Callable[[str], object]


def submit(
    address: str,
    command_line: Sequence[str],
    paths: Mapping[str, Path],
    *,
    write: Say,
    say: Say,
) -> int:
    """Have a command done by a cluster, and follow it to its end.

    Parameters
    ----------
    address : str
        ``http://HEAD:8265``.
    command_line : sequence of str
        The arguments of `shoal`, with ``--on``.
    paths : dict of str to Path
        Those of the command, by the names of its options.
    write : callable
        Gets what the job prints, piece by piece.
    say : callable
        Gets lines about the job.

    Returns
    -------
    int
        The exit code of the job.

    Raises
    ------
    ClusterError
        The cluster does not answer or does not let this machine in, or a path is one of this
        machine; nothing was submitted. Or the job was lost.
    """
    address = address.rstrip("/")
    _refuse_paths_of_this_machine(paths)
    headers = _headers()
    _check_answer(address, headers)
    client = _client(address, headers)
    entrypoint = shlex.join(["python", "-m", "shoal", *on_auto(command_line)])
    try:
        job = client.submit_job(entrypoint=entrypoint, runtime_env={})
    except (RuntimeError, OSError) as error:
        raise ClusterError(f"{address} does not take the job: {printable(error)}") from error
    say(f"job {job} at {address}; Ctrl-C stops it")
    try:
        info = _follow(client, job, address, write)
    except KeyboardInterrupt:
        say(_stop(client, job, address))
        raise
    return _exit_code(info, job, address)


def _client(address: str, headers: dict[str, str]) -> Any:
    """Ray's client of jobs; it waits for no answer for ever."""
    import_ray()
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):  # type: ignore[misc]
        def _do_request(self, *arguments: Any, **options: Any) -> Any:
            return super()._do_request(*arguments, **{"timeout": CALL, **options})

    logging.getLogger(JobSubmissionClient.__module__).setLevel(logging.ERROR)
    with _no_other_address():
        return Client(address, headers=headers)


def on_auto(command_line: Sequence[str]) -> list[str]:
    """The command line of the job: the same, on the cluster that it finds itself in."""
    changed: list[str] = []
    given = list(command_line)
    while given:
        word = given.pop(0)
        if word == "--on":
            given.pop(0)
            word = "--on=auto"
        elif word.startswith("--on="):
            word = "--on=auto"
        elif word == "--":
            return [*changed, word, *given]
        changed.append(word)
    return changed


def _refuse_paths_of_this_machine(paths: Mapping[str, Path]) -> None:
    for path in paths.values():
        if not path.is_absolute() and not _URL.match(str(path)):
            raise ClusterError(
                f"{path}: the job runs on a cluster, which has not the folder that you are in. "
                "Write the whole path, below a folder that all its machines share"
            )


def _headers() -> dict[str, str]:
    """What lets this machine in: the token, from where Ray takes it."""
    token = os.environ.get("RAY_AUTH_TOKEN", "")
    if not token:
        path = os.environ.get("RAY_AUTH_TOKEN_PATH")
        with contextlib.suppress(OSError):
            token = (Path(path) if path else Path.home() / ".ray" / "auth_token").read_text()
    return {"Authorization": f"Bearer {token.strip()}"} if token.strip() else {}


def _check_answer(address: str, headers: dict[str, str]) -> None:
    """Refuse an address at which no dashboard of Ray answers, or one that lets nobody in."""
    request = urllib.request.Request(f"{address}/api/version", headers=headers)  # noqa: S310
    try:
        with opener(address).open(request, timeout=ANSWER) as answer:
            told = json.loads(answer.read(10_000))
        version = str(told["ray_version"])
        old = tuple(int(part) for part in version.split(".")[:2]) < OLDEST_RAY
    except urllib.error.HTTPError as error:
        if error.code == 401:
            raise ClusterError(f"{address} wants a token. {HOW_TO_GET_IN}") from None
        if error.code == 403:
            raise ClusterError(
                f"{address} does not take this machine's token. {HOW_TO_GET_IN}"
            ) from None
        raise ClusterError(f"{address} is no dashboard of Ray: it answers {error}") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise ClusterError(
            f"{address}: nobody answers there within {ANSWER:.0f} s ({reason}). The dashboard of "
            "a cluster listens at port 8265 of its head, on 127.0.0.1 unless it was told another "
            "address: tunnel to it (ssh -L 8265:127.0.0.1:8265 HEAD, then --on "
            "http://127.0.0.1:8265)"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ClusterError(
            f"{address} is no dashboard of Ray: what answers there is something else"
        ) from None
    if old:
        raise ClusterError(
            f"{address} has Ray {printable(version)}, which lets in whoever reaches it: shoal "
            f"needs {OLDEST_RAY[0]}.{OLDEST_RAY[1]} or later there"
        )


@contextlib.contextmanager
def _no_other_address() -> Iterator[None]:
    """Hide what the environment says of other clusters: Ray would go there instead."""
    names = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


def _follow(client: Any, job: str, address: str, write: Say) -> Any:
    """Hand over what a job prints until it has ended; gives what is known of its end."""
    log = _Log(write)
    from aiohttp import ClientError  # part of ray[default], as what follows a log is

    while True:
        # whatever cuts the connection: the job is asked about below, and followed again
        with contextlib.suppress(OSError, RuntimeError, ClientError):
            asyncio.run(_tail(client, job, log))
        info = _asked_again(lambda: client.get_job_info(job), job, address)
        if info.status.is_terminal():
            whole = _asked_again(lambda: client.get_job_logs(job), job, address)
            log.take(whole, ended=True)
            return info
        time.sleep(0.2)


class _Log:
    """Hands over each piece of a log once, however often it is read from its beginning.

    Ray's own lines, up to the one that tells the command, are left out.
    """

    def __init__(self, write: Say) -> None:
        self._write, self._written = write, 0

    def take(self, whole: str, *, ended: bool = False) -> None:
        """Hand over what is new in a log that is read from its beginning."""
        begun = re.search(rf"^{_FIRST_LINE}.*\n", whole, re.MULTILINE)
        if begun is None and not ended:
            return
        start = max(self._written, begun.end() if begun else 0)
        self._written = max(start, len(whole))
        if whole[start:]:
            self._write(whole[start:])


async def _tail(client: Any, job: str, log: _Log) -> None:
    whole = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of aiohttp, as Ray calls it
        pieces = client.tail_job_logs(job)
        with contextlib.suppress(StopAsyncIteration, asyncio.TimeoutError):
            while True:  # a connection that was cut says nothing, as a job that has nothing to say
                whole += await asyncio.wait_for(anext(pieces), SILENCE)
                log.take(whole)


def _asked_again(ask: Callable[[], Any], job: str, address: str) -> Any:
    """What a cluster answers, which may be cut off for a while."""
    until = time.monotonic() + CUT_OFF
    while True:
        try:
            return ask()
        except (OSError, RuntimeError) as error:
            if time.monotonic() > until:
                raise ClusterError(
                    f"{address} does not answer any more ({printable(error)}), and job {job} may "
                    f"still run there: `ray job logs --address {address} --follow {job}`, or "
                    f"`ray job stop --address {address} {job}`"
                ) from error
            time.sleep(1)


def _stop(client: Any, job: str, address: str) -> str:
    """Stop a job; gives the line that says how that went."""
    by_hand = f"`ray job stop --address {address} {job}` stops it"
    try:
        client.stop_job(job)
        until = time.monotonic() + STOPPING
        while time.monotonic() < until:
            if client.get_job_status(job).is_terminal():
                return f"job {job} is stopped"
            time.sleep(0.2)
    except (OSError, RuntimeError) as error:
        return f"job {job} could not be stopped ({printable(error)}): {by_hand}"
    return f"job {job} still runs: {by_hand}"


def _exit_code(info: Any, job: str, address: str) -> int:
    code = info.driver_exit_code
    if code is not None:
        return int(code) if code >= 0 else 128 - int(code)  # ended by a signal, as a shell says it
    if str(info.status) == "SUCCEEDED":
        return 0
    raise ClusterError(
        f"job {job} at {address} ended as {info.status}: {printable(info.message or '', 400)}"
    )
