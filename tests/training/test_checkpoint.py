"""Checkpoints: what is damaged is refused, and what killed trainings left is removed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from shoal.errors import TrainingError
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.unfinished import folder_beside, remove_leftovers

from .test_loop import data

TINY = {"n_epochs": 2, "batch_size": 45, "factors": 4, "hidden": 8}


def trained(folder: Path) -> Any:
    return by_name("mult-vae")(**TINY).fit(data(), run=Run(threads=1, checkpoint=folder))


@pytest.mark.parametrize(("pause", "written"), [(0.0, True), (1000.0, False)])
def test_none_is_written_before_the_pause_is_over(
    tmp_path: Path, pause: float, written: bool
) -> None:
    run = Run(threads=1, checkpoint=tmp_path, checkpoint_pause=pause)
    by_name("mult-vae")(**TINY).fit(data(), run=run)
    assert (tmp_path / "mult-vae.safetensors").exists() == written


def test_no_flipped_bit_is_continued(tmp_path: Path) -> None:
    """Flips anywhere, half of them in the header; every refusal is one line with the way out."""
    curve = trained(tmp_path).curve
    file = tmp_path / "mult-vae.safetensors"
    good, rng = file.read_bytes(), random.Random(0)
    header = 8 + int.from_bytes(good[:8], "little")
    for trial in range(200):
        bad = bytearray(good)
        bad[rng.randrange(header if trial % 2 else len(good))] ^= 1 << rng.randrange(8)
        file.write_bytes(bad)
        with pytest.raises(TrainingError) as caught:
            trained(tmp_path)
        message = str(caught.value)
        assert message.startswith(f"{file} is damaged (")
        assert message.endswith("delete it to begin again")
        assert "\n" not in message
    file.write_bytes(good)
    assert trained(tmp_path).curve == curve


@pytest.mark.parametrize("length", [0, 7, 8, 500, -1])
def test_a_checkpoint_that_was_cut_short_is_refused(tmp_path: Path, length: int) -> None:
    trained(tmp_path)
    file = tmp_path / "mult-vae.safetensors"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(TrainingError, match=r"damaged.*delete it to begin again"):
        trained(tmp_path)


def contents(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(file, "pt") as opened:
        return {n: opened.get_tensor(n) for n in opened.keys()}, opened.metadata()  # noqa: SIM118


def test_a_checkpoint_without_a_checksum_is_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    file = tmp_path / "mult-vae.safetensors"
    tensors, metadata = contents(file)
    save_file(tensors, file, {"training": metadata["training"]})
    with pytest.raises(TrainingError, match=r"no checksum.*delete it"):
        trained(tmp_path)


@pytest.mark.parametrize("kind", ["shape", "missing", "optimiser"])
def test_a_whole_checkpoint_of_another_layout_is_one_line(tmp_path: Path, kind: str) -> None:
    """As another version may have written it: the checksum is right, the tensors are others."""
    from shoal.training.checkpoint import _checksum

    trained(tmp_path)
    file = tmp_path / "mult-vae.safetensors"
    tensors, metadata = contents(file)
    name = next(n for n in tensors if n.startswith("network."))
    if kind == "shape":
        tensors[name] = torch.zeros(2, 3)
    elif kind == "missing":
        del tensors[name]
    else:
        tensors["optimiser.0.no number.step"] = torch.zeros(1)
    metadata["sha256"] = _checksum(metadata["training"], tensors)
    save_file(tensors, file, metadata)
    with pytest.raises(TrainingError, match=r"another version.*delete the file") as caught:
        trained(tmp_path)
    assert "\n" not in str(caught.value)


KILLED = """
import os, signal, sys
from pathlib import Path
from shoal.unfinished import folder_beside
with folder_beside(Path(sys.argv[1])) as folder:
    (folder / "mult-vae.safetensors").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_training_left_is_removed_and_what_is_being_written_is_not(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mult-vae.safetensors"
    done = subprocess.run([sys.executable, "-c", KILLED, str(file)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".new")
    other = tmp_path / ".mult-dae.safetensors.0123.new"  # of another model
    other.mkdir()
    with folder_beside(file) as folder:
        trained(tmp_path)
        assert not left.exists()
        assert set(tmp_path.iterdir()) == {file, other, folder}
        remove_leftovers(file)
        assert folder.exists()
    assert set(tmp_path.iterdir()) == {file, other}
