"""What is being written beside its place, and who may remove it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from shoal import unfinished
from shoal.files import replacing

WRITER = """
    import sys, time
    from pathlib import Path
    from shoal.unfinished import file_beside, folder_beside
    make = {"file": file_beside, "folder": folder_beside}[sys.argv[2]]
    with make(Path(sys.argv[1])) as new:
        if new.is_dir():
            (new / "half").write_text("x")
        print(new, flush=True)
        time.sleep(60)
"""


def writing(target: Path, kind: str) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that writes `target`, and give what it has begun."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(target), kind],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def stop(process: subprocess.Popen[str]) -> None:
    """Kill a process."""
    process.kill()
    process.communicate()


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("name", ["m", "m[1]", "m*", "a.b", "ü" * 120])
def test_what_a_running_process_writes_stays_and_what_a_killed_one_left_goes(
    tmp_path: Path, kind: str, name: str
) -> None:
    process, begun = writing(tmp_path / name, kind)
    try:
        assert begun.exists()
        unfinished.remove_leftovers(tmp_path / name)
        assert begun.exists()
    finally:
        stop(process)
    assert unfinished.being_written(tmp_path / name) == [begun]
    unfinished.remove_leftovers(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_container_with_other_pids_removes_nothing_that_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two containers on a volume: in each the other's pid is dead, and both may be process 1."""
    process, begun = writing(tmp_path / "m", "folder")
    try:
        monkeypatch.setattr(unfinished, "_pid_namespace", lambda: 4)
        monkeypatch.setattr(unfinished, "_is_running", lambda *_: False)
        unfinished.remove_leftovers(tmp_path / "m")
        assert (begun / "half").exists()
    finally:
        stop(process)
    # the next container is process 1 again, and knows that the last one is gone
    unfinished.remove_leftovers(tmp_path / "m")
    assert not begun.exists()


def test_where_there_are_no_locks_the_process_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, begun = writing(tmp_path / "m", "folder")
    monkeypatch.setattr(unfinished, "_lock", lambda _: None)
    try:
        unfinished.remove_leftovers(tmp_path / "m")
        assert begun.exists()
    finally:
        stop(process)
    # another process has the pid by now: it started at another time
    other = begun.with_name(begun.name.replace(f"-{process.pid}-", f"-{os.getpid()}-"))
    begun.rename(other)
    unfinished.remove_leftovers(tmp_path / "m")
    assert not other.exists()


def test_what_another_host_left_is_removed_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / ".m.00000000-1-1-1.abcdef12.new"
    before_owners = tmp_path / ".m.4711.abc_1234.new"
    for folder in (old, before_owners):
        folder.mkdir()
        (folder / "half").write_text("x")
    unfinished.remove_leftovers(tmp_path / "m")
    assert old.exists()
    assert before_owners.exists()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1.1 * 86_400)
    unfinished.remove_leftovers(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [".m.new", ".m.old", ".m.x.new", ".mm.1.a.new", ".m.backup.new", "m.1.a.new", ".m.txt"]
    for name in names:
        (tmp_path / name).mkdir()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e6)
    unfinished.remove_leftovers(tmp_path / "m")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)


def test_threads_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    target, errors = tmp_path / "x", []

    def write(text: str) -> None:
        try:
            for _ in range(100):
                with replacing(target) as new:
                    new.write_text(text)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(c * 1000,)) for c in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert target.read_text() in {c * 1000 for c in "abcd"}
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_is_replaced_has_the_usual_permissions(tmp_path: Path) -> None:
    with replacing(tmp_path / "x") as new:
        new.write_text("")
    (tmp_path / "y").write_text("")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


def test_a_folder_that_is_swept_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread or process sweeps at the moment between the making and the lock."""
    make, swept = Path.mkdir, []

    def make_and_sweep(folder: Path, mode: int = 0o777) -> None:
        make(folder, mode)
        if not swept:
            swept.append(folder)
            unfinished.remove_leftovers(tmp_path / "model")

    monkeypatch.setattr(Path, "mkdir", make_and_sweep)
    with unfinished.folder_beside(tmp_path / "model") as folder:
        assert folder.is_dir()
        assert not swept[0].exists()
    assert not list(tmp_path.iterdir())
