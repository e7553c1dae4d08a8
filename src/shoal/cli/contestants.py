"""Which models `compare` is asked for: names with ``--set``, and policy files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.base.model_text import words_of
from shoal.cli.faults import to_stderr
from shoal.cli.model_options import model_names, settings_by_model
from shoal.cli.parse import id_list
from shoal.errors import DataError, ModelError

if TYPE_CHECKING:
    from shoal.data.counted import Event
    from shoal.experiments.comparison.entrant import Entrant

POLICY_FILES = (".yaml", ".yml", ".json")


def policy_files(models: str, policies: str | None) -> list[Path]:
    """The policy files among --models, and those of --policies."""
    among = [word for word in _words(models) if Path(word).suffix.lower() in POLICY_FILES]
    return [Path(word) for word in (*among, *id_list(policies))]


def contestants(
    models: str, files: Sequence[Path], set_: list[str] | None, *, tuned: bool
) -> list[Entrant]:
    """The models of a comparison, with their settings; all of them are valid.

    Parameters
    ----------
    models : str
        Names, groups of models (all, fast, deep) and policy files, with commas; may be empty. A
        name may have settings in parentheses: ``blend(ease+gf-cf)``.
    files : sequence of Path
        All policy files (`policy_files`).
    set_ : list of str, optional
        ``model.parameter=value``, for models that are named.
    tuned : bool
        Whether the comparison tunes; if not, ranges in a policy file are refused.

    Raises
    ------
    DataError, ModelError
    """
    from shoal.experiments.comparison.entrant import Entrant, entrants_of, written_out
    from shoal.models.registry import by_name

    words = [w for w in _words(models) if Path(w).suffix.lower() not in POLICY_FILES]
    plain = [w for w in words if "(" not in w]
    names = model_names(",".join(plain), only="ranking") if plain else []
    settings = settings_by_model(set_, names)
    entrants = [Entrant(name, by_name(name), settings.get(name, {})) for name in names]
    entrants += [written_out(w) for w in words if "(" in w]
    for file in files:
        entrants += _of_policies(file, tuned=tuned)
    if not entrants:
        raise DataError("--models names none")
    distinct = entrants_of(entrants)
    for given, entrant in zip(entrants, distinct, strict=True):
        if given.label != entrant.label:
            to_stderr(
                f"note: another model is called {given.label}, too: this one is {entrant.label} "
                "here; `name: …` in its policy file gives it a name of its own"
            )
    return distinct


def counted_events(files: Sequence[Path]) -> tuple[Event, ...]:
    """The events that count for the models of policy files; empty where all do.

    Raises
    ------
    ModelError
        Two models name different events.
    """
    from shoal.policy import common_events, policies_of

    return common_events(policy for file in files for policy in policies_of(file))


def _words(models: str) -> list[str]:
    return words_of(id_list(models))


def _of_policies(file: Path, *, tuned: bool) -> list[Entrant]:
    """The models of a policy file; what is not read of it is said."""
    from shoal.experiments.comparison.entrant import Entrant
    from shoal.models.registry import by_name
    from shoal.policy import policies_of

    entrants = []
    for policy in policies_of(file):
        for note in policy.notes:
            to_stderr(f"note: {note}")
        if policy.space and not tuned:
            raise ModelError(
                f"{file}: {policy.label} gives {', '.join(policy.space)} as a range, and nothing "
                "is tuned: add --tune 20, or write one value"
            )
        kind = by_name(policy.name)
        entrants.append(Entrant(policy.label, kind, policy.settings, policy.space or None))
    return entrants
