"""Stores that are damaged, full, read-only or in use, and names of versions that are not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import shoal
from shoal.artifact import Store
from shoal.artifact import store as store_module
from shoal.artifact.locks import locked
from shoal.data.interactions import Interactions
from shoal.errors import ArtifactError, NotFittedError


@pytest.fixture
def store(folder: Path, tmp_path: Path) -> Store:
    store = Store(tmp_path / "store", create=True)
    store.publish(folder)
    return store


def test_what_is_no_store_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    for create in (False, True):
        with pytest.raises(ArtifactError, match="is a model folder, and no store"):
            Store(folder, create=create)
        with pytest.raises(ArtifactError, match="is a file"):
            Store(tmp_path / "file", create=create)
        with pytest.raises(ArtifactError, match="exists and is no store"):
            Store(tmp_path / "full", create=create)
    with pytest.raises(ArtifactError, match=r"shoal publish MODEL .*none makes one"):
        Store(tmp_path / "none")
    with pytest.raises(ArtifactError, match="is an empty folder"):
        Store(tmp_path / "empty")
    assert Store(tmp_path / "empty", create=True).versions() == []
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_an_empty_store_has_nothing_live(tmp_path: Path) -> None:
    store = Store(tmp_path / "new", create=True)
    for ask in (store.current, store.load, lambda: shoal.load(store.path)):
        with pytest.raises(ArtifactError, match=r"has no live version .it holds no version"):
            ask()
    with pytest.raises(ArtifactError, match="no version that was live before"):
        store.rollback()
    assert store.prune() == []


@pytest.mark.parametrize("name", ["", "..", "../ease", "ease", ".hidden", "a/b", "CURRENT", "\0"])
def test_an_unknown_version_is_named_with_those_that_are_there(store: Store, name: str) -> None:
    there = store.current()
    for ask in (store.activate, store.folder, store.version, store.load):
        with pytest.raises(ArtifactError, match=f"has no version .*it has: {there}"):
            ask(name)
    assert store.current() == there


@pytest.mark.parametrize("content", [b"", b"\n", b"../ease\n", b"\xff\xfe", b"gone\n", b"x" * 5000])
def test_a_damaged_pointer_is_said_and_mended(store: Store, folder: Path, content: bytes) -> None:
    name = store.current()
    (store.path / "CURRENT").write_bytes(content)
    with pytest.raises(ArtifactError, match=f"CURRENT .*it holds {name}.*shoal activate"):
        shoal.load(store.path)
    assert [v.live for v in store.versions()] == [False]
    with pytest.raises(ArtifactError, match="CURRENT"):
        store.prune(keep=1) if content != b"gone\n" else store.load()
    assert store.rollback().name == name
    assert store.load().name == "ease"
    (store.path / "CURRENT").write_bytes(content)
    assert store.activate(name).live
    (store.path / "CURRENT").write_bytes(content)
    assert store.publish(folder).live


def test_a_pointer_that_is_gone_is_said(store: Store) -> None:
    name = store.current()
    (store.path / "CURRENT").unlink()
    with pytest.raises(ArtifactError, match=f"has no live version .it holds {name}"):
        store.load()
    assert store.activate(name).live


def truncate(folder: Path) -> None:
    os.truncate(folder / "arrays.safetensors", 1000)


def remove(folder: Path) -> None:
    (folder / "items.parquet").unlink()


def alter(folder: Path) -> None:
    raw = bytearray((folder / "arrays.safetensors").read_bytes())
    raw[-1] ^= 1
    (folder / "arrays.safetensors").write_bytes(raw)


@pytest.mark.parametrize(
    ("damage", "why"),
    [(truncate, "truncated"), (remove, "items.parquet is missing"), (alter, "was altered")],
)
def test_a_broken_version_is_refused_with_the_reason(
    store: Store, folder: Path, damage: object, why: str
) -> None:
    broken = store.publish(folder, activate=False)
    live = store.current()
    damage(store.path / broken.name)  # type: ignore[operator]
    with pytest.raises(ArtifactError, match=why):
        store.activate(broken.name)
    assert store.current() == live
    listed = {v.name: v for v in store.versions(verify=True)}
    assert why in listed[broken.name].error
    assert listed[live].error == ""
    # and a folder that is broken is not published
    before = set(store.path.iterdir())
    with pytest.raises(ArtifactError, match=why):
        store.publish(store.path / broken.name)
    assert set(store.path.iterdir()) == before


def test_a_broken_version_does_not_count_as_kept(store: Store, folder: Path) -> None:
    first = store.current()
    broken = [store.publish(folder, activate=False).name for _ in range(3)]
    for name in broken:
        truncate(store.path / name)
    assert store.prune(keep=1) == []
    newest = store.publish(folder).name
    assert store.prune(keep=1) == broken[::-1]
    assert [v.name for v in store.versions()] == [newest, first]


def test_an_unfitted_model_leaves_no_trace(store: Store) -> None:
    before = set(store.path.iterdir())
    with pytest.raises(NotFittedError):
        store.publish(shoal.EASE())
    assert set(store.path.iterdir()) == before


def test_models_are_not_saved_into_a_store(log: Interactions, store: Store) -> None:
    model = shoal.Popularity().fit(log)
    for place in (store.path, store.path / store.current(), store.path / "mine"):
        with pytest.raises(ArtifactError, match="is a store of versions"):
            shoal.save(model, place)


FULL_DISK = """
    import resource, signal, sys
    import shoal
    from shoal.artifact import Store
    model = shoal.load(sys.argv[2])
    store = Store(sys.argv[1])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for size in map(int, sys.argv[3:]):  # files end there, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        for source in (model, sys.argv[2]):
            try:
                store.publish(source)
            except shoal.ShoalError as error:
                print("refused:", error, file=sys.stderr)
"""


def test_a_full_disk_leaves_the_live_version(store: Store, folder: Path) -> None:
    """There is room for no byte; for the pointer only; for the manifest only."""
    live = store.current()
    before = set(store.path.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), store.path, folder, "0", "10", "1500"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("refused:") == 6, done.stderr
    assert done.stderr.count("the live version is as it was") == 6
    assert store.current() == live
    assert set(store.path.iterdir()) == before
    assert store.load().name == "ease"
    newer = store.publish(folder)
    assert newer.live
    assert store.rollback().name == live


def test_a_history_that_the_disk_cuts_short_leaves_the_live_version(
    store: Store, folder: Path
) -> None:
    """Room for the files of the model and for half a line of the history."""
    history = store.path / "history.jsonl"
    live = store.current()
    padding = 20_000 - history.stat().st_size - 60
    with history.open("a") as file:
        file.write("x" * (padding - 1) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), store.path, folder, "20000"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("refused:") == 2, done.stderr
    assert store.current() == live
    assert [v.name for v in store.versions()] == [live]
    store.publish(folder)
    assert store.rollback().name == live


@pytest.fixture
def read_only(store: Store) -> Iterator[Store]:
    """The store without the right to write; for root, who has it all the same, files say so."""
    places = [store.path, *store.path.rglob("*")]
    modes = [place.stat().st_mode for place in places]
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    yield store
    for place, mode in zip(places, modes, strict=True):
        place.chmod(mode)


def test_a_read_only_store_is_read_and_not_written(
    read_only: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:  # no file mode keeps root from writing: let the system call refuse

        def refuse(path: object, flags: int, *rest: object, **more: object) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR):
                raise OSError(30, "Read-only file system", str(path))
            return real(path, flags, *rest, **more)  # type: ignore[call-overload,no-any-return]

        def refuse_folder(self: Path, *rest: object, **more: object) -> None:
            raise OSError(30, "Read-only file system", str(self))

        real = os.open
        monkeypatch.setattr("os.open", refuse)
        monkeypatch.setattr(Path, "mkdir", refuse_folder)
    name = read_only.current()
    assert read_only.load().name == "ease"
    assert [v.name for v in read_only.versions()] == [name]
    for change in (
        lambda: read_only.publish(folder),
        lambda: read_only.activate(name),
        read_only.rollback,
        read_only.prune,
    ):
        with pytest.raises(ArtifactError, match="the live version is as it was"):
            change()


def test_a_store_in_use_says_by_whom(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "WAIT", 0.05)
    name = store.current()
    with (
        locked(store.path / "LOCK", wait=0, purpose="a test runs"),
        pytest.raises(ArtifactError, match=f"a test runs by process {os.getpid()} on"),
    ):
        store.activate(name)
    assert store.activate(name).live


def test_publishers_and_pruners_at_once_lose_nothing(store: Store, log: Interactions) -> None:
    models = [shoal.EASE(l2=v).fit(log, run=shoal.Run(threads=1)) for v in (5, 6, 7)]
    published: list[str] = []
    errors: list[BaseException] = []

    def work(model: shoal.Recommender) -> None:
        try:
            for _ in range(6):
                published.append(store.publish(model).name)
                store.prune(keep=4)
                store.load()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(published)) == 18
    assert store.current() == max(published)
    assert len(store.versions(verify=True)) <= 5
    assert all(not v.error for v in store.versions(verify=True))
    assert not list(store.path.glob(".*"))


def test_leftovers_of_killed_publishers_are_swept(store: Store, folder: Path) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        from shoal.artifact import Store, store
        def die(*values, **more):
            os.kill(os.getpid(), signal.SIGKILL)
        store.new_name = die
        Store(sys.argv[1]).publish(sys.argv[2])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), store.path, folder], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert [p.name[:11] for p in store.path.glob(".*.new")] == [".published."]
    store.publish(folder)
    assert list(store.path.glob(".*.new")) == []
