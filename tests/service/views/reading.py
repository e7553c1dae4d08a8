"""What a person reads and can follow on a page, and how a person's browser sends a form."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

from starlette.testclient import TestClient

READ, ADMIN = "read-key-0123456789", "admin-key-0123456789"
ORIGIN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}  # of our own pages


class Page(HTMLParser):
    """The links, the text, and the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: dict[str, str] = {}  # by what they say to those who cannot see
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag == "a" and values.get("aria-label"):
            self.links[str(values["aria-label"])] = str(values["href"])

    def handle_data(self, data: str) -> None:
        self.text += data


def plain(markup: str) -> str:
    """The text of a part of a page, with single spaces."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


def text_of(answer: Any) -> str:
    """The text of what is the page's own, without what frames all pages."""
    return plain(answer.text.partition("<main")[2].partition("</main>")[0])


def section(text: str, heading: str) -> str:
    """The part of a page under one heading."""
    match = re.search(rf'<section[^>]*aria-labelledby="{heading}">(.*?)</section>', text, re.S)
    assert match is not None, heading
    return match[1]


def ids_in(text: str) -> list[str]:
    """The ids of the items that a part of a page shows."""
    return re.findall(r'<span class="id">([^<]*)</span>', text)


def hidden_fields(answer: Any) -> dict[str, str]:
    """What the form of a page sends along."""
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', answer.text)
    return {name: html.unescape(value) for name, value in fields}


def send(client: TestClient, path: str, fields: dict[str, str], **more: Any) -> Any:
    """The answer to a form of our own pages."""
    return client.post(path, data=fields, headers=ORIGIN, follow_redirects=False, **more)
