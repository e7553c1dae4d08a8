"""The catalogue's Netflix data, from a copy in any form that people have."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from shoal.datasets import archives as catalogue_archives
from shoal.datasets.fetch import fetch
from shoal.errors import DataError

from .catalogue_helpers import LOG, schema, table, zipped

TITLES = "1,2003,Dinosaur Planet\n2,NULL,Isle of Man,\x85 Señor\n3,1997,Character\n".encode(
    "latin-1"
)
COMBINED = {
    "combined_data_1.txt": (
        b"1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n822109,4,2005-09-05"
    ),
    "combined_data_2.txt": b"3:\n1025579,4,2003-03-29\n",
    "movie_titles.csv": TITLES,
}
MV = {
    "mv_0000001.txt": b"1:\r\n1488844,3,2005-09-06\r\n822109,5,2005-05-13\r\n",
    "mv_0000002.txt": b"2:\n822109,4,2005-09-05",
    "mv_0000003.txt": b"3:\n1025579,4,2003-03-29\n",
}
# 2005-09-06 is 13,032 days after 1970-01-01.
DAYS = {"2005-09-06": 13032, "2005-05-13": 12916, "2005-09-05": 13031, "2003-03-29": 12140}
NETFLIX = [
    (1488844, 1, 3.0, DAYS["2005-09-06"] * 86400),
    (822109, 1, 5.0, DAYS["2005-05-13"] * 86400),
    (822109, 2, 4.0, DAYS["2005-09-05"] * 86400),
    (1025579, 3, 4.0, DAYS["2003-03-29"] * 86400),
]


def tarred(files: dict[str, bytes], prefix: str = "", mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def lay_out(form: str, folder: Path) -> Path:
    """Make a copy of the Netflix data as people have it."""
    titles = {"movie_titles.txt": TITLES}
    if form == "folder":
        for name, content in COMBINED.items():
            (folder / name).write_bytes(content)
    elif form == "folder of mv":
        (folder / "training_set").mkdir()
        for name, content in MV.items():
            (folder / "training_set" / name).write_bytes(content)
        (folder / "movie_titles.txt").write_bytes(TITLES)
    elif form == "zip":
        folder /= "archive.zip"
        folder.write_bytes(zipped(COMBINED))
    elif form == "tar.gz":
        folder /= "netflix.tar.gz"
        folder.write_bytes(tarred(MV | titles, "download/training_set/", "w:gz"))
    elif form == "tar in tar":
        folder /= "nf_prize_dataset.tar.gz"
        inner = {"training_set.tar": tarred(MV, "training_set/")}
        folder.write_bytes(tarred(inner | titles, "download/", "w:gz"))
    return folder


@pytest.mark.parametrize("form", ["folder", "folder of mv", "zip", "tar.gz", "tar in tar"])
@pytest.mark.parametrize("block", [1, 40, 1 << 26])
def test_netflix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, block: int) -> None:
    monkeypatch.setattr(catalogue_archives, "_BLOCK", block)
    monkeypatch.setattr(catalogue_archives, "_CHUNK", min(block + 6, 1 << 20))
    copy = tmp_path / "copy"
    copy.mkdir()
    done = fetch("netflix", tmp_path, source=lay_out(form, copy))
    assert schema(done, "interactions") == LOG
    assert table(done, "interactions") == NETFLIX
    assert table(done, "items") == [
        (1, "Dinosaur Planet", 2003),
        (2, "Isle of Man,\x85 Señor", None),
        (3, "Character", 1997),
    ]
    assert done.rows == 4
    assert any("4 interactions where the publisher says 100,480,507" in n for n in done.notes)


def test_netflix_needs_a_copy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="netflix cannot be downloaded: Netflix has withdrawn it"):
        fetch("netflix", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="neither combined_data"):
        fetch("netflix", tmp_path, source=tmp_path / "empty")
    with pytest.raises(DataError, match="no such file or folder"):
        fetch("netflix", tmp_path, source=tmp_path / "nowhere")
    (tmp_path / "broken.tar").write_bytes(b"not a tar at all")
    with pytest.raises(DataError, match=r"broken\.tar: the file is damaged"):
        fetch("netflix", tmp_path, source=tmp_path / "broken.tar")


@pytest.mark.parametrize("line", ["12,x,2005-01-01", "12,3,yesterday", "a,3,2005-01-01"])
def test_a_netflix_line_that_cannot_be_read_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "combined_data_1.txt").write_text(f"1:\n{line}\n")
    with pytest.raises(DataError, match="damaged or of another edition"):
        fetch("netflix", tmp_path / "data", source=tmp_path)
