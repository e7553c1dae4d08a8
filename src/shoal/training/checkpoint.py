"""Checkpoints to continue training from, and the training log; without pickle.

A checkpoint is one safetensors file: the network, the best weights so far and the optimisers as
tensors, everything else as JSON in its metadata, with a sha256 of both. It is written under a
temporary name, flushed, and renamed, so a process that is killed leaves the previous checkpoint
intact. What killed processes left under such names is removed when a training begins.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from shoal.errors import TrainingError
from shoal.unfinished import folder_beside, remove_leftovers

if TYPE_CHECKING:
    from shoal.training.learner import Learner, Outcome

Tensors = dict[str, torch.Tensor]


class Store:
    """The checkpoint in a folder.

    Parameters
    ----------
    folder : Path
        The folder; it is created if it does not exist.
    identity : mapping
        What identifies the training (model, hyper-parameters, data), as plain data; only the same
        training may continue. ``model`` names the file, so several models may share a folder.
    pause : float
        Seconds for which none is due after one, or after the beginning.
    part : str
        Ends the name of the file, where a training has several.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], pause: float = 0.0, part: str = ""
    ) -> None:
        self._pause, self._last = pause, time.perf_counter()
        self._path = Path(folder) / f"{identity.get('model', 'training')}{part}.safetensors"
        self._identity = json.loads(json.dumps(identity, default=str))

    @property
    def is_due(self) -> bool:
        """Whether the pause is over."""
        return time.perf_counter() - self._last >= self._pause

    def sweep(self) -> None:
        """Remove the unfinished files of trainings that were killed while they wrote them."""
        remove_leftovers(self._path)

    def epoch(self) -> int:
        """The epoch at whose end the checkpoint was written; 0 if there is none.

        Raises
        ------
        TrainingError
            The checkpoint is damaged.
        """
        if not self._path.exists():
            return 0
        about, _ = self._read(torch.device("cpu"))
        return int(about["outcome"]["clock"]["epoch"])

    def save(self, learner: Learner, outcome: Outcome, kept: Tensors) -> None:
        """Write the state at the end of an epoch.

        Parameters
        ----------
        learner : Learner
            Its network and optimisers are saved.
        outcome : Outcome
            The learning curve and the clock.
        kept : dict of str to Tensor
            The best weights so far.

        Raises
        ------
        TrainingError
            The file cannot be written; the previous checkpoint is unchanged.
        """
        tensors = {f"network.{n}": t for n, t in learner.network.state_dict().items()}
        tensors |= {f"kept.{n}": t for n, t in kept.items()}
        plain: list[dict[str, Any]] = []
        for p, phase in enumerate(learner.phases):
            state = phase.optimiser.state_dict()["state"]
            plain.append({})
            for index, entries in state.items():
                for name, value in entries.items():
                    if isinstance(value, torch.Tensor):
                        tensors[f"optimiser.{p}.{index}.{name}"] = value
                    else:
                        plain[p][f"{index}.{name}"] = value
        about = {
            "identity": self._identity,
            "optimisers": plain,
            "outcome": asdict(outcome),
        }
        text = json.dumps(about)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            copies = {n: t.detach().cpu().clone().contiguous() for n, t in tensors.items()}
            metadata = {"training": text, "sha256": _checksum(text, copies)}
            with folder_beside(self._path) as folder:
                unfinished = folder / self._path.name
                save_file(copies, unfinished, metadata)
                with unfinished.open("rb") as file:
                    os.fsync(file.fileno())
                unfinished.replace(self._path)
            self._last = time.perf_counter()
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"{self._path} could not be written ({error})") from error

    def load(self, learner: Learner, device: torch.device) -> tuple[Outcome, Tensors] | None:
        """Restore network and optimisers from the checkpoint, if there is one.

        Returns
        -------
        (Outcome, dict of str to Tensor) or None
            The outcome so far and the best weights; None without a checkpoint.

        Raises
        ------
        TrainingError
            The checkpoint is damaged, or belongs to another training; network and optimisers are
            then not to be used.
        """
        from shoal.training.learner import Clock, Outcome

        if not self._path.exists():
            return None
        about, tensors = self._read(device)
        self._compare(about.get("identity", {}))
        try:
            learner.network.load_state_dict(_below(tensors, "network"))
            for p, phase in enumerate(learner.phases):
                state: dict[int, dict[str, Any]] = {}
                plain = about["optimisers"][p]
                for name, value in (_below(tensors, f"optimiser.{p}") | plain).items():
                    index, _, entry = name.partition(".")
                    state.setdefault(int(index), {})[entry] = value
                current = phase.optimiser.state_dict()
                phase.optimiser.load_state_dict({**current, "state": state})
            fields = about["outcome"]
            outcome = Outcome(**{**fields, "clock": Clock(**fields["clock"])})
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            # its checksum is right, so its layout is that of another version
            raise TrainingError(
                f"{self._path} was written by another version of shoal ({_one_line(error)}): "
                "continue with that version, or delete the file to begin again"
            ) from error
        return outcome, _below(tensors, "kept")

    def _read(self, device: torch.device) -> tuple[dict[str, Any], Tensors]:
        """Everything in the file, if its checksum is right.

        Raises
        ------
        TrainingError
        """
        try:
            with safe_open(self._path, "pt", device=str(device)) as file:
                metadata = file.metadata() or {}
                tensors = {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
        except (
            OSError,
            SafetensorError,
            RuntimeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            raise self._damaged(_one_line(error)) from error
        text = metadata.get("training", "")
        if "sha256" not in metadata:
            raise self._damaged("it has no checksum, or an older version of shoal wrote it")
        if metadata["sha256"] != _checksum(text, tensors):
            raise self._damaged("its contents do not match its checksum")
        return json.loads(text), tensors

    def _damaged(self, why: str) -> TrainingError:
        return TrainingError(f"{self._path} is damaged ({why}): delete it to begin again")

    def _compare(self, saved_identity: Mapping[str, Any]) -> None:
        """Refuse a checkpoint of another training."""
        now = _flat(self._identity)
        saved = _flat(saved_identity)
        names = sorted(n for n in now.keys() | saved.keys() if now.get(n) != saved.get(n))
        if names:
            what = ", ".join(f"{n} {saved.get(n)!r} (now {now.get(n)!r})" for n in names[:5])
            raise TrainingError(
                f"{self._path} belongs to another training: {what}. Name another folder, or delete "
                "that file to begin again"
            )


def _checksum(text: str, tensors: Tensors) -> str:
    """sha256 of the metadata and of all tensors: names, types, shapes and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _one_line(error: Exception) -> str:
    """The first line of an error's message, not too long; its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings: {"a": {"b": 1}} becomes {"a.b": 1}."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out |= _flat(value, f"{prefix}{name}.")
        else:
            out[prefix + name] = value
    return out


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, Any]:
    """Return the tensors whose names begin with ``prefix.``, named without it."""
    return {
        n.removeprefix(prefix + "."): t for n, t in tensors.items() if n.startswith(prefix + ".")
    }


def log(path: Path | None, row: Mapping[str, Any]) -> None:
    """Append a row to the training log, as one line of JSON; without a path do nothing.

    Raises
    ------
    TrainingError
        The file cannot be written.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise TrainingError(f"{path} could not be written ({error})") from error
