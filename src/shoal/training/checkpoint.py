"""Checkpoints that training continues from, and the log of a run; no pickle.

A checkpoint is one safetensors file: the network, the best weights so far and the optimisers as
tensors, everything else as JSON in its metadata. It is written under another name, flushed, and
renamed, so a kill leaves the one before.
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
        Made if it is not there.
    identity : mapping
        Of the training that may use it, as plain data; its ``model`` names the file, so that
        several models may share a folder.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self._path = Path(folder) / f"{identity.get('model', 'training')}.safetensors"
        self._identity = json.loads(json.dumps(identity, default=str))

    def save(self, learner: Learner, outcome: Outcome, kept: Tensors) -> None:
        """Write the state at the end of an epoch.

        Raises
        ------
        TrainingError
            The disk refuses; the checkpoint before is as it was.
        """
        tensors = {f"network.{n}": t for n, t in learner.network.state_dict().items()}
        tensors |= {f"kept.{n}": t for n, t in kept.items()}
        plain: list[dict[str, Any]] = []
        for p, phase in enumerate(learner.phases):
            state = phase.optimiser.state_dict()["state"]
            plain.append({})
            for at, entries in state.items():
                for name, value in entries.items():
                    if isinstance(value, torch.Tensor):
                        tensors[f"optimiser.{p}.{at}.{name}"] = value
                    else:
                        plain[p][f"{at}.{name}"] = value
        about = {
            "identity": self._identity,
            "optimisers": plain,
            "outcome": asdict(outcome),
        }
        unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            own = {n: t.detach().cpu().clone().contiguous() for n, t in tensors.items()}
            save_file(own, unfinished, {"training": json.dumps(about)})
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        except (OSError, SafetensorError) as error:
            unfinished.unlink(missing_ok=True)
            raise TrainingError(f"{self._path} could not be written ({error})") from error

    def load(self, learner: Learner, device: torch.device) -> tuple[Outcome, Tensors] | None:
        """Continue: fill the network and the optimisers; None where there is no checkpoint.

        Raises
        ------
        TrainingError
            It is damaged, or of another training.
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
                at, _, entry = name.partition(".")
                state.setdefault(int(at), {})[entry] = value
            whole = phase.optimiser.state_dict()
            phase.optimiser.load_state_dict({**whole, "state": state})
        fields = about["outcome"]
        outcome = Outcome(**{**fields, "clock": Clock(**fields["clock"])})
        return outcome, _below(tensors, "kept")

    def _compare(self, there: Mapping[str, Any]) -> None:
        mine = _flat(self._identity)
        theirs = _flat(there)
        names = sorted(n for n in mine.keys() | theirs.keys() if mine.get(n) != theirs.get(n))
        if names:
            what = ", ".join(f"{n} {theirs.get(n)!r} (now {mine.get(n)!r})" for n in names[:5])
            raise TrainingError(
                f"{self._path} belongs to another training: {what}. Name another folder, or delete "
                "that file to begin again"
            )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out |= _flat(value, f"{prefix}{name}.")
        else:
            out[prefix + name] = value
    return out


def _below(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, Any]:
    return {
        n.removeprefix(prefix + "."): t for n, t in tensors.items() if n.startswith(prefix + ".")
    }


def log(path: Path | None, row: Mapping[str, Any]) -> None:
    """Append a line to the run's log.

    Raises
    ------
    TrainingError
        The disk refuses.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        raise TrainingError(f"{path} could not be written ({error})") from error
