"""Openers that spill nothing, for clients of servers, and texts that are safe to show.

Addresses of this machine are asked directly, whatever proxies the environment names: a proxy would
get the request, and a key in its headers, in the clear. No redirect leaves https for http.
"""

from __future__ import annotations

import ipaddress
import json
import urllib.error
import urllib.request
from http.client import HTTPMessage
from typing import IO, Any
from urllib.parse import urlsplit


class UnsafeRedirectError(urllib.error.URLError):
    """A redirect that is not followed."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but none from https to anything else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise UnsafeRedirectError(
                f"a redirect from https to {printable(newurl)}, where anybody on the way could "
                "replace what is sent"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def is_this_machine(url: str) -> bool:
    """Whether an address is on the loopback interface: ``localhost``, ``127.0.0.1``, ``::1``, ….

    Names other than ``localhost`` and those below it are not looked up.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def opener(url: str, *handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """Make an opener for an address: without a proxy for this machine, with safe redirects.

    Parameters
    ----------
    url : str
    *handlers : BaseHandler
        Further handlers; one for redirects replaces the one of this module.
    """
    own: list[urllib.request.BaseHandler] = list(handlers)
    if not any(isinstance(h, urllib.request.HTTPRedirectHandler) for h in handlers):
        own.append(_Redirects())
    if is_this_machine(url):
        own.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*own)


def printable(text: object, longest: int = 200) -> str:
    """A text from a file or a server as one line that no terminal obeys, cut where it is long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return shortened(line, longest)


def shortened(text: str, longest: int) -> str:
    """A text of so many letters at most; the last one says that it was cut."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def script_json(value: Any) -> str:
    """JSON for an element of scripts: no letter in it could end the element or begin another."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
