"""What all pages share: templates, policies, their files, and the page that tells of an error.

Titles and ids are only ever text in them: the templates escape everything, and no page may load or
run anything that is not one of our own files.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from shoal._version import __version__
from shoal.data.titles import title_of
from shoal.design import STYLE_SHEET, style_sheet
from shoal.service.endpoints import Call, Endpoint, Reply, Routes
from shoal.service.problems import TITLES, Problem

routes = Routes("pages")

HTML = "text/html; charset=utf-8"
OWN_FILES = (
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; img-src 'self' data:; "
    "script-src 'self'; style-src 'self'; connect-src 'self'; "
)
POLICY = OWN_FILES + "form-action 'self'"
_SCRIPT = "text/javascript; charset=utf-8"
FILES = {
    STYLE_SHEET: "text/css; charset=utf-8",
    "page.js": _SCRIPT,
    "map.js": _SCRIPT,
    "item_map.js": _SCRIPT,
    "item_map.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "docs.js": _SCRIPT,
    "swagger/swagger-ui.css": "text/css; charset=utf-8",
    "swagger/swagger-ui-bundle.js": _SCRIPT,
}
_OF_MAPS = ("item_map.js", "item_map.css")  # which files of `shoal map` contain, too
PAGES = {  # what the navigation names, by address
    "/": "Try",
    "/steer": "Steer",
    "/person": "People",
    "/models": "Models",
    "/now": "Now",
    "/online": "Experiments",
}


def page(
    template: str,
    call: Call,
    values: dict[str, Any],
    *,
    title: str,
    here: str = "",
    status: int = 200,
) -> Reply:
    """A page.

    Parameters
    ----------
    template : str
        File of the folder ``pages``, which extends ``base.html``.
    call : Call
    values : dict
        What the template shows.
    title : str
        What the browser's tab and the first heading say.
    here : str
        Which entry of the navigation it belongs to: an address of `PAGES`.
    status : int
    """
    service = call.service
    common = {
        "title": title,
        "here": here,
        "pages": PAGES if service.settings.pages else {},
        "docs": service.settings.docs,
        "has_keys": bool(service.keys),
        "is_admin": call.role == "admin",
        "shoal_version": __version__,
        "answering": service.live.served,
    }
    text = templates().get_template(template).render(common | values)
    return Reply(text.encode("utf-8", "replace"), status, HTML, _headers())


def host_of(call: Call) -> str:
    """By which name and port the service was asked, for commands to copy."""
    return call.headers.get(b"host", b"localhost:8000").decode("latin-1")


def error_page(call: Call, problem: Problem) -> Reply:
    """The page that tells of an error."""
    values = {"problem": problem, "request_id": call.request_id}
    title = TITLES.get(problem.status, "Error")
    reply = page("error.html", call, values, title=title, status=problem.status)
    return Reply(reply.content, reply.status, HTML, {**reply.headers, **problem.headers})


def see_other(address: str) -> Reply:
    """Lead to a page after a form was taken, so that loading it again sends nothing twice."""
    return Reply(b"", 303, HTML, {**_headers(), "Location": address})


def _headers() -> dict[str, str]:
    # browsers say where a form comes from only to those who may know it
    return {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}


@cache
def address_of_file(name: str) -> str:
    """The address of one of our files; it changes with the content, so it may be kept for ever."""
    return f"/static/{name}?v={hashlib.sha256(_file(name)).hexdigest()[:10]}"


def _static(call: Call) -> Reply:
    """Give a file that a page needs."""
    name = call.path.removeprefix("/static/")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    if not call.query:
        headers = {"Cache-Control": "public, max-age=3600"}
    return Reply(_file(name), media_type=FILES[name], headers=headers)


routes.endpoints += [
    Endpoint(
        "GET", f"/static/{name}", _static, "pages", "open", documented=False, names_model=False
    )
    for name in FILES
]


@cache
def templates() -> jinja2.Environment:
    """The templates, which escape all that they are given."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("shoal.service", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"file": address_of_file, "title_of": title_of}
    environment.filters["count"] = lambda number: f"{number:,}"
    return environment


@cache
def _file(name: str) -> bytes:
    if name == STYLE_SHEET:
        return style_sheet().encode("utf-8")
    if name in _OF_MAPS:
        return files("shoal.maps").joinpath(name).read_bytes()
    return files("shoal.service").joinpath("pages", name).read_bytes()
