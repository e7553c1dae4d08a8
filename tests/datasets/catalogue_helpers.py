"""Small files in the publishers' exact formats, and what was made of them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import polars as pl

from shoal.datasets.fetch import Fetched

Publish = Callable[..., None]


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def table(done: Fetched, name: str) -> list[tuple[object, ...]]:
    return pl.read_parquet(done.folder / f"{name}.parquet").rows()


def schema(done: Fetched, name: str) -> dict[str, pl.DataType]:
    return dict(pl.read_parquet_schema(done.folder / f"{name}.parquet"))


LOG = {"user": pl.Int64, "item": pl.Int64, "rating": pl.Float32, "timestamp": pl.Int64}
ML_100K = {
    "ml-100k/u.data": b"196\t242\t3\t881250949\n186\t2\t5\t891717742\n",
    "ml-100k/u.genre": b"unknown|0\nAction|1\nComedy|2\n\n",
    "ml-100k/u.item": (
        "242|Kolya (1996)|24-Jan-1997||http://us.imdb.com/M/title-exact?Kolya%20(1996)|0|0|1\n"
        "2|Misérables, Les (1995)|01-Jan-1995||http://us.imdb.com/x|0|1|1\n"
        "267|unknown||||1|0|0\n"
    ).encode("latin-1"),
}
HEADER = b"userId,movieId,rating,timestamp\n"
ML_CSV = {
    "ml-x/ratings.csv": (HEADER + b"1,296,5.0,1147880044\n1,306,3.5,1147868817\n"),
    "ml-x/movies.csv": (
        'movieId,title,genres\n296,"American President, The (1995)",Comedy|Drama\n'
        "306,Amélie (2001),(no genres listed)\n"
    ).encode(),
}
AMAZON = (
    b"user_id,parent_asin,rating,timestamp\n"
    b"AGCI7FAH4GL5FI65HYLKWTMFZ2CQ,0005946468,1.0,1580955342383\n"
)
