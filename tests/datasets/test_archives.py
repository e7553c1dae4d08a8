"""Archives that unpack to more than any log, or that cannot be unpacked."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.datasets.archives import extract, read_member, texts
from shoal.datasets.fetch import fetch
from shoal.errors import DataError
from shoal.run import Silent

LARGE = b"0" * (200 << 20)  # 200 MiB of one letter
TOO_LARGE = "unpacked it is larger than .*, 100 times its size"


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tarred(members: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return whole.getvalue()


def test_a_zip_is_unpacked_no_further_than_logs_can_be(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"u.data": LARGE})
    with pytest.raises(DataError, match=TOO_LARGE):
        extract(archive, "u.data", tmp_path, Silent())
    assert (tmp_path / "u.data").stat().st_size < len(LARGE) / 2
    with pytest.raises(DataError, match=TOO_LARGE):
        read_member(archive, "u.data")


def test_many_small_members_count_together(tmp_path: Path) -> None:
    members = {f"combined_data_{n}.txt": LARGE[: 40 << 20] for n in range(5)}
    archive = zipped(tmp_path / "a.zip", members)
    with pytest.raises(DataError, match=TOO_LARGE):
        sum(map(len, texts(archive, "combined_data_*.txt")))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_tar_is_bounded_and_an_honest_one_is_read(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.tar.x"
    path.write_bytes(pack(tarred({"x/combined_data_1.txt": b"1:\n2,3,2005-01-01"})))
    assert b"".join(texts(path, "combined_data_*.txt")) == b"1:\n2,3,2005-01-01\n"
    path.write_bytes(pack(tarred({"other": LARGE, "combined_data_1.txt": b"1:\n"})))
    with pytest.raises(DataError, match=TOO_LARGE):
        list(texts(path, "combined_data_*.txt"))


def test_a_gzipped_csv_is_bounded(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    with gzip.open(own / "All_Beauty.csv.gz", "wb") as file:
        file.write(LARGE)
    with pytest.raises(DataError, match="expected sha256"):  # a known hash is checked before
        fetch("amazon2023:All_Beauty", tmp_path, source=own)
    from shoal.datasets.parsers import amazon_2023

    with pytest.raises(DataError, match=TOO_LARGE):
        amazon_2023({"x": own / "All_Beauty.csv.gz"}, tmp_path, Silent())


def test_what_the_disk_has_no_room_for_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(tmp_path / "a.zip", {"u.data": b"1" * 5000})
    usage = shutil.disk_usage(tmp_path)._replace(free=4000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"u.data takes .*free some space"):
        extract(archive, "u.data", tmp_path, Silent())
    assert not (tmp_path / "u.data").exists()


def test_a_password_and_an_unknown_compression_are_one_line(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"u.data": b"1\t2\t3\t4\n"})
    whole = archive.read_bytes()
    local, central = 0, whole.index(b"PK\x01\x02")
    for at, value, complaint in (
        ((local + 6, central + 8), 1, "u.data in it is encrypted"),
        ((local + 8, central + 10), 99, "packed by method 99"),
    ):
        altered = bytearray(whole)
        for position in at:
            altered[position] = value
        archive.write_bytes(altered)
        with pytest.raises(DataError, match=complaint) as error:
            extract(archive, "u.data", tmp_path, Silent())
        assert "\n" not in str(error.value)
        with pytest.raises(DataError, match=complaint):
            read_member(archive, "u.data")


def test_names_in_an_archive_do_not_control_the_terminal(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"\x1b[31mred\n": b"1"})
    with pytest.raises(DataError, match=r"no u\.data in it") as error:
        extract(archive, "u.data", tmp_path, Silent())
    assert str(error.value).isprintable()
