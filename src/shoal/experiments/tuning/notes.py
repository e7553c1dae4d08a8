"""What one should know about a search, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.experiments.tuning.proposals import Question
from shoal.experiments.tuning.trials import FAILED, PRUNED, Trial


def notes_on(
    trials: Sequence[Trial], question: Question, inverses: int | None, n_models: int
) -> tuple[str, ...]:
    """Say how trials shared their cost, which are special cases, and which failed."""
    notes = []
    if inverses is not None:
        text = f"{len(trials):,} settings were evaluated with {inverses:,} inverses"
        if n_models > 1:
            text += (
                f", which {n_models} models of the family shared: trials of one count for every "
                "other that they concern, and the time is that of all together"
            )
        notes.append(text)
    special = len({question.key(t.settings) for t in trials if t.source.startswith("special")})
    if special:
        notes.append(
            f"{special:,} {'fits' if special > 1 else 'fit'} of models that this one contains as "
            "special cases did not count for its budget"
        )
    for state, why in ((FAILED, "could not be fitted"), (PRUNED, "were stopped early")):
        count = sum(trial.state == state for trial in trials)
        if count:
            notes.append(f"{count:,} of {len(trials):,} trials {why}")
    return tuple(notes)
