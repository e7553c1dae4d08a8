"""The versions in a store: their names, and what is known of them."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shoal.artifact.reading import opened_files
from shoal.errors import ArtifactError

_TIME = "%Y%m%d-%H%M%S-%f"


@dataclass(frozen=True)
class Version:
    """One version of a model in a store.

    Parameters
    ----------
    name : str
    created : str
        When the model was fitted, in ISO form.
    model : str
    parameters : dict
    metrics : dict
        The evaluation that was kept with the model; empty if there was none.
    bytes : int
        Size of its files.
    n_items : int
    fingerprint : str
        Of the training data.
    note : str
        What the publisher said of it.
    live : bool
    error : str
        Why it cannot be used; "" if nothing is known against it. The entries above are then empty.
    """

    name: str
    created: str = ""
    model: str = ""
    parameters: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    bytes: int = 0
    n_items: int = 0
    fingerprint: str = ""
    note: str = ""
    live: bool = False
    error: str = ""


def described(folder: Path, live: str | None, note: str, *, verify: bool = False) -> Version:
    """What is known of a version; of one that cannot be used, why.

    Parameters
    ----------
    folder : Path
    live : str or None
        The name of the live version.
    note : str
    verify : bool
        Whether to compare the hashes of all files.
    """
    is_live = folder.name == live
    try:
        with opened_files(folder) as files:
            manifest = files.manifest
            if verify:
                files.check_hashes()
    except ArtifactError as error:
        return Version(folder.name, note=note, live=is_live, error=str(error))
    data = manifest["data"]
    return Version(
        name=folder.name,
        created=manifest["created"],
        model=manifest["model"],
        parameters=manifest["parameters"],
        metrics=manifest.get("metrics") or {},
        bytes=sum(about["bytes"] for about in manifest["files"].values()),
        n_items=data["items"],
        fingerprint=data["fingerprint"],
        note=note,
        live=is_live,
    )


def new_name(names: Sequence[str], model: str) -> str:
    """A name for a version of a model: the time, the model, and a few digits.

    Parameters
    ----------
    names : sequence of str
        Those that are taken, in ascending order. The new one comes after all of them, also if the
        clock was set back.
    model : str
    """
    now = datetime.now(UTC)
    newest = names[-1][:19] if names else ""
    if now.strftime(_TIME)[:19] <= newest:
        with contextlib.suppress(ValueError):
            last = datetime.strptime(newest + "000", _TIME).replace(tzinfo=UTC)
            now = last + timedelta(milliseconds=1)
    kind = re.sub("[^a-z0-9]+", "-", model.lower()).strip("-")[:40] or "model"
    return f"{now.strftime(_TIME)[:19]}-{kind}-{secrets.token_hex(2)}"
