"""The decision of an experiment: one variant for everybody, until that is undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.errors import DataError, EventsUnavailable
from shoal.events import EventStore
from shoal.online.definition import Experiment

if TYPE_CHECKING:
    from shoal.artifact import Store


@dataclass(frozen=True, slots=True)
class Decision:
    """What `promote` and `undo` did.

    Parameters
    ----------
    experiment : str
    variant : str or None
        What everybody gets now; None where each user gets the own variant again.
    before : str or None
        What everybody got before.
    activated : str or None
        The version of the model's store that was made the live one.
    notes : tuple of str
        What remains to be done, in sentences.
    """

    experiment: str
    variant: str | None
    before: str | None
    activated: str | None
    notes: tuple[str, ...] = ()


def promote(
    store: EventStore, experiment: Experiment, variant: str, models: Store | None = None
) -> Decision:
    """Give everybody one variant of an experiment from now on.

    Services that use this store of events do so within seconds.

    Parameters
    ----------
    store : EventStore
    experiment : Experiment
    variant : str
    models : Store, optional
        The store of models that the service answers from. If the variant is a version of it, this
        version is made the live one, so that it stays when the experiment is taken away.

    Raises
    ------
    DataError
        There is no such variant.
    ArtifactError
        The version cannot be made the live one; nothing is decided then.
    EventsUnavailable
        The decision could not be stored.
    """
    version = experiment.variants[experiment.check_variant(variant)].version
    before = store.promotion(experiment.name)
    activated = None
    if version is not None and models is not None and models.current() != version:
        activated = models.activate(version).name
    try:
        store.promote(experiment.name, variant)
    except EventsUnavailable as error:
        if activated is None:
            raise
        raise EventsUnavailable(
            f"version {activated} is live now, but the decision could not be stored, promote "
            f"again: {error}"
        ) from error
    return Decision(
        experiment.name, variant, before, activated, _what_remains(experiment, variant, models)
    )


def undo(store: EventStore, experiment: Experiment, models: Store | None = None) -> Decision:
    """Give users their own variants again.

    Parameters
    ----------
    store : EventStore
    experiment : Experiment
    models : Store, optional
        The store of models that the service answers from. If the version of the variant that was
        promoted is still the live one, the version before it is made the live one, so that the
        control is what it was.

    Raises
    ------
    DataError
        No variant is promoted.
    ArtifactError
        There is no version to go back to; the decision stands then.
    EventsUnavailable
        The decision could not be stored.
    """
    before = store.promotion(experiment.name)
    if before is None:
        raise DataError(
            f"{store.place}: no variant of experiment {experiment.name} is promoted, so there is "
            "nothing to undo"
        )
    promoted = experiment.variants.get(before)
    version = promoted.version if promoted is not None else None
    activated = None
    if version is not None and models is not None and models.current() == version:
        activated = models.rollback().name
    store.promote(experiment.name, None)
    notes: tuple[str, ...] = ()
    if version is not None and models is None:
        notes = (
            f"If version {version} was activated for it, go back with `shoal rollback STORE`, or "
            "the control is answered by it too.",
        )
    return Decision(experiment.name, None, before, activated, notes)


def _what_remains(experiment: Experiment, variant: str, models: Store | None) -> tuple[str, ...]:
    """What to do so that the decision stays when the experiment is taken away."""
    chosen = experiment.variants[variant]
    if chosen.version is not None and models is None:
        return (
            f"To keep version {chosen.version} without the experiment: shoal activate STORE "
            f"{chosen.version}.",
        )
    if chosen.model is not None:
        return (
            f"To keep this without the experiment, serve the model {chosen.model} as the main one.",
        )
    if chosen.settings:
        named = ", ".join(chosen.settings)
        return (f"To keep this without the experiment, send {named} with each request.",)
    return ()
