"""The catalogue's own table: every promised name, and what people must know."""

from __future__ import annotations

import re

import pytest

from shoal.datasets import fetch as catalogue
from shoal.datasets.fetch import Entry, entries, get
from shoal.errors import DataError


def test_every_name_that_is_promised_is_there() -> None:
    names = [entry.name for entry in entries()]
    assert names[:12] == [
        "ml-100k",
        "ml-1m",
        "ml-10m",
        "ml-20m",
        "ml-25m",
        "ml-latest-small",
        "netflix",
        "msd",
        "gowalla",
        "yelp2018",
        "amazon-book",
        "goodbooks-10k",
    ]
    assert all(name.startswith("amazon2023:") for name in names[12:])
    assert len(names) == len(set(names)) == 12 + 34


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_an_entry_says_what_people_must_know(entry: Entry) -> None:
    assert entry.licence
    assert entry.citation
    assert entry.homepage.startswith("http")
    assert entry.files or entry.name == "netflix"
    for file in entry.files:
        assert file.url.startswith("http")
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.md5 is None or re.fullmatch("[0-9a-f]{32}", file.md5)
    assert entry.name.partition(":")[0] in catalogue._PARSERS


def test_an_unknown_name_brings_the_close_ones() -> None:
    with pytest.raises(DataError, match="no data set is called 'ml-1n'; there is ml-1m"):
        get("ml-1n")
    with pytest.raises(DataError, match="amazon2023:Video_Games"):
        get("amazon2023:video-games")
    with pytest.raises(DataError, match="there is ml-100k, ml-1m"):
        get("zzzzzz")
