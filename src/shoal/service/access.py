"""Who asks, and whether this route answers them: keys, roles, hosts and origins."""

from __future__ import annotations

import base64
import binascii
import contextlib
from typing import TYPE_CHECKING

from shoal.service.problems import Problem
from shoal.service.security import host_name, is_loopback

if TYPE_CHECKING:
    from shoal.service.endpoints import Access, Call
    from shoal.service.settings import Settings

FORM = b"application/x-www-form-urlencoded"


def check_access(call: Call, access: Access) -> None:
    """Refuse a request whose key does not allow this route.

    Raises
    ------
    Problem
        401 without a key, 403 with one that is not enough.
    """
    if call.role is None:
        raise key_problem(call)
    if access == "admin" and call.role != "admin":
        raise Problem(403, "this key may ask, but not change the service: use an admin key")


def key_problem(call: Call) -> Problem:
    """The problem of a request without a key that fits."""
    given = key_of(call) is not None
    scheme = "Basic" if call.page else "Bearer"
    detail = "this key is not known" if given else "give a key: Authorization: Bearer KEY"
    if call.page and not given:
        detail = "give a key of this service as the password; the name does not matter"
    return Problem(401, detail, headers={"WWW-Authenticate": f'{scheme} realm="shoal"'})


def key_of(call: Call) -> bytes | None:
    """The key that a request brings; a page takes it as a password, too.

    A browser sends a password along with whatever other sites make it ask. Pages that only show
    something cannot do harm by that, and forms are checked by `check_same_origin`.
    """
    authorization = call.headers.get(b"authorization")
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip()
    if authorization is not None and authorization[:6].lower() == b"basic " and call.page:
        with contextlib.suppress(binascii.Error):
            return base64.b64decode(authorization[6:].strip()).partition(b":")[2]
    return call.headers.get(b"x-api-key")


def check_local(call: Call, settings: Settings) -> None:
    """Without keys: refuse pages of other sites that call this service from a browser.

    Raises
    ------
    Problem
        421 or 403.
    """
    host = host_name(call.headers.get(b"host", b""))
    if not (is_loopback(host) or host in settings.allowed_hosts):
        raise Problem(
            421,
            "this service has no key, so it answers to the names of this machine alone "
            "(localhost, 127.0.0.1): set allowed_hosts, or keys",
        )
    origin = call.headers.get(b"origin")
    if origin is None or origin.decode("latin-1") in settings.cors or "*" in settings.cors:
        return
    if not _is_own(call, origin):
        raise Problem(
            403, "a page of another origin may not call this service: name it with --cors"
        )


def check_same_origin(call: Call) -> None:
    """Refuse a form that does not come from a page of this service.

    All browsers say where a form comes from, and no page can make them say something else.

    Raises
    ------
    Problem
        403 or 415.
    """
    site = call.headers.get(b"sec-fetch-site", b"same-origin")
    origin = call.headers.get(b"origin")
    if site != b"same-origin" or origin is None or not _is_own(call, origin):
        raise Problem(403, "this form is only taken from the pages of this service")
    kind = call.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != FORM:
        raise Problem(415, f"send the form as {FORM.decode()}")


def _is_own(call: Call, origin: bytes) -> bool:
    return origin.partition(b"://")[2] == call.headers.get(b"host")
