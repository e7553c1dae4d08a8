"""The best settings of a search as a policy file, which `shoal train --policy` takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from shoal.base.recommender import Recommender
from shoal.data.counted import Event
from shoal.experiments.tuning.trials import Searched
from shoal.files import POLICY_MARK, check_table, write_whole
from shoal.run import how_many
from shoal.web import printable

ENDINGS = (".yaml", ".yml")


def write_policy(
    path: str | Path,
    kind: type[Recommender],
    found: Searched,
    data: str,
    users: int,
    events: Sequence[Event] = (),
) -> Path:
    """Write the best settings of a search, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Ends in ``.yaml`` or ``.yml``.
    kind : class of the model
    found : Searched
    data : str
        What the data are called, for the comment at the beginning.
    users : int
        Number of validation users.
    events : sequence of str and numbers
        The events of the log that counted; empty where all did.

    Returns
    -------
    Path

    Raises
    ------
    ArtifactError
        The name has another ending, its folder is not there, or the disk refuses.
    """
    path = check_policy_path(path)
    best = found.best
    # what stays at its default is left out, and with it keys that mean nothing for this device
    fields = kind.model_fields
    settings = {n: v for n, v in best.settings.items() if n in fields and v != fields[n].default}
    policy: dict[str, Any] = {"policy_type": kind.name, **settings}
    if events:
        policy["event_values"] = list(events)
    comment = (
        f"# {POLICY_MARK}: the best of {how_many(len(found.trials), 'trial')}, with {found.metric} "
        f"{best.score:.5f} on {users:,} validation users.\n"
        f"# Data: {printable(data, 120)}.\n"
        "# What is not named here has its default.\n"
    )
    text = comment + yaml.safe_dump(
        {"policy_configs": {"scoring_policy": policy}}, sort_keys=False, allow_unicode=True
    )
    return write_whole(path, lambda to: to.write_text(text, encoding="utf-8"))


def check_policy_path(path: str | Path) -> Path:
    """Refuse a name that no policy file can have, before a search begins.

    Raises
    ------
    ArtifactError
        The name has another ending, is a folder, or its folder is not there.
    """
    return check_table(path, ENDINGS)
