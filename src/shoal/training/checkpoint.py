"""Checkpoints to continue training from, and the training log; without pickle.

A checkpoint is one safetensors file: the network, the best weights so far and the optimisers as
tensors, everything else as JSON in its metadata. It is written under a temporary name, flushed, and
renamed, so a process that is killed leaves the previous checkpoint intact.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from shoal.errors import TrainingError

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
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self._path = Path(folder) / f"{identity.get('model', 'training')}.safetensors"
        self._identity = json.loads(json.dumps(identity, default=str))

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
        unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            copies = {n: t.detach().cpu().clone().contiguous() for n, t in tensors.items()}
            save_file(copies, unfinished, {"training": json.dumps(about)})
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        except (OSError, SafetensorError) as error:
            unfinished.unlink(missing_ok=True)
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
            The checkpoint is damaged, or belongs to another training.
        """
        from shoal.training.learner import Clock, Outcome

        if not self._path.exists():
            return None
        try:
            with safe_open(self._path, "pt", device=str(device)) as file:
                about = json.loads(file.metadata()["training"])
                tensors = {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{self._path} is damaged ({error}): delete it to begin again"
            ) from error
        self._compare(about["identity"])
        learner.network.load_state_dict(_below(tensors, "network"))
        for p, phase in enumerate(learner.phases):
            state: dict[int, dict[str, Any]] = {}
            for name, value in (_below(tensors, f"optimiser.{p}") | about["optimisers"][p]).items():
                index, _, entry = name.partition(".")
                state.setdefault(int(index), {})[entry] = value
            current = phase.optimiser.state_dict()
            phase.optimiser.load_state_dict({**current, "state": state})
        fields = about["outcome"]
        outcome = Outcome(**{**fields, "clock": Clock(**fields["clock"])})
        return outcome, _below(tensors, "kept")

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
