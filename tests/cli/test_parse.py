"""Small parsers of the command line."""

from __future__ import annotations

import pytest

from shoal.cli.parse import id_list, pairs, parse_bytes
from shoal.errors import ShoalError


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8GB", 8e9),
        ("512 mb", 512e6),
        ("1e9", 1e9),
        ("1.5GiB", 1.5 * 2**30),
        ("7", 7),
        ("2K", 2000),
    ],
)
def test_sizes(text: str, number: float) -> None:
    assert parse_bytes(text) == number


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "8 apples", "nan", "inf", "1e300"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ShoalError):
        parse_bytes(text)


def test_pairs_and_lists() -> None:
    assert pairs("user=u, item=i", "--columns") == {"user": "u", "item": "i"}
    assert pairs("", "--columns") == {}
    assert pairs('user="a=b", item="x, ""y"""', "") == {"user": "a=b", "item": 'x, "y"'}
    assert pairs('"big, deal"=2,view=1', "") == {"big, deal": "2", "view": "1"}
    assert id_list(" 1193, 661 ,") == ["1193", "661"]
    assert id_list('"a, b",c\nd') == ["a, b", "c", "d"]
    assert id_list("") == id_list(None) == []
    for bad in ("user", "=u", "user="):
        with pytest.raises(ShoalError):
            pairs(bad, "--columns")
