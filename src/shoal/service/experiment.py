"""The experiment that a service runs: which variant answers a request, and what everybody gets.

A user's variant follows from a hash of the id (`shoal.online`), so workers need not agree on
anything. What was promoted stands in the store of events, and a thread of each worker looks there
every few seconds; no request waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from shoal.errors import DataError, EventsUnavailable, ShoalError
from shoal.inference.recommend import recommend
from shoal.online import Experiment, Variant, read_experiment
from shoal.run import Run
from shoal.service.live import LiveModel, Served
from shoal.service.logs import log
from shoal.service.schemas import Person, RecommendBody
from shoal.service.settings import MAIN, ServiceError, Settings
from shoal.service.watch import Watch

if TYPE_CHECKING:
    from shoal.events import EventStore
    from shoal.service.steering import Steering

KNOBS_SECONDS = 300.0  # for which a version waits for its knobs before it answers
POLL_SECONDS = 2.0  # how often it is looked whether a variant was promoted

P = TypeVar("P", bound=Person)


@dataclass(eq=False)
class ServedVariant:
    """A variant as requests are answered by it.

    Parameters
    ----------
    name : str
    share : float
        Of the users.
    live : LiveModel
        Who answers.
    settings : dict
        Fields of `RecommendBody` for requests that do not set them.
    label : dict of str to str
        What answers say of it.
    """

    name: str
    share: float
    live: LiveModel
    settings: dict[str, Any]
    label: dict[str, str]
    _faults: dict[str, str] = field(default_factory=dict)  # by version that cannot take `settings`

    @property
    def fault(self) -> str:
        """Why this variant cannot answer at the moment; empty if it can."""
        served = self.live.served
        if served is None:
            trouble = self.live.trouble
            return trouble.reason if trouble is not None else "its model is being loaded"
        return self._faults.get(served.version, "")

    def completed(self, body: P) -> P:
        """A request with the settings of this variant that it does not set itself."""
        if not isinstance(body, RecommendBody):  # other requests have no such settings
            return body
        if not isinstance(body.new_items, bool):  # which are in no catalogue: no setting fits them
            return body
        own = body.model_fields_set
        added = {name: value for name, value in self.settings.items() if name not in own}
        return body.model_copy(update=added) if added else body

    def check(self, served: Served, steering: Steering) -> None:
        """Note whether a version can answer with the settings, so that no request has to find out.

        A filter, for example, may name an attribute that the items do not have.
        """
        model, options = served.model, dict(self.settings)
        try:
            levels = options.pop("steer", None)
            if levels:
                made = steering.knobs(served, wait=KNOBS_SECONDS)
                if made is None:
                    raise DataError(f"its knobs were not ready within {KNOBS_SECONDS:g} s")
                options["steer"] = made.shifts(levels)
            item = model.items.take([int(model.known_items.argmax())])
            recommend(model, item, 1, run=Run(threads=1), **options)
        except Exception as error:  # whatever it is, requests are answered without this variant
            reason = " ".join(str(error).split())[:500] or type(error).__name__
            self._faults[served.version] = f"{served.version} cannot answer so: {reason}"
            log("error", "a variant cannot answer", variant=self.name, reason=reason)
        else:
            self._faults.pop(served.version, None)


class RunningExperiment:
    """An experiment while it is served.

    Parameters
    ----------
    definition : Experiment
    live_model : callable
        The live model that a variant is answered by.
    events : EventStore or None
        Where promotions stand; without one nothing can be promoted.
    steering : Steering
        Makes the knobs that variants are steered by.
    """

    def __init__(
        self,
        definition: Experiment,
        live_model: Callable[[Variant], LiveModel],
        events: EventStore | None,
        steering: Steering,
    ) -> None:
        self.definition, self._events, self._steering = definition, events, steering
        self.variants = {
            name: ServedVariant(
                name,
                variant.share,
                live_model(variant),
                settings_of(variant),
                {"experiment": definition.name, "name": name},
            )
            for name, variant in definition.variants.items()
        }
        self.promoted: str | None = None  # the variant that everybody gets
        self._watch = Watch("promotions", self.look, POLL_SECONDS)
        self.first_look = self._watch.first_look  # set when it is known what was promoted, or not
        self.unreadable = ""  # why it is not known whether a variant was promoted

    def variant_of(self, user: Any) -> ServedVariant | None:
        """The variant that answers a user; None for nobody in particular, or if it cannot answer.

        Requests without a user are part of the experiment once a variant was promoted. A user whose
        variant cannot answer is answered as if there were no experiment.
        """
        name = self.promoted
        if name is None:
            if user is None:
                return None
            name = self.definition.variant_of(user)
        variant = self.variants[name]
        return None if variant.fault else variant

    def faults(self) -> dict[str, str]:
        """Why variants cannot answer, for those that cannot."""
        return {name: v.fault for name, v in self.variants.items() if v.fault}

    def check(self, live: LiveModel, served: Served) -> None:
        """Look whether a version can answer for its variants, before it does."""
        for variant in self.variants.values():
            if variant.live is live:
                variant.check(served, self._steering)

    def start(self) -> None:
        """Begin to look for promotions."""
        if self._events is None:
            self.first_look.set()
        else:
            self._watch.start()

    def stop(self) -> None:
        """Stop to look."""
        self._watch.stop()

    def look_now(self) -> None:
        """Look for a promotion at once."""
        self._watch.look_now()

    def look(self) -> None:
        """Look once what was promoted; as long as that cannot be read, the last answer counts."""
        assert self._events is not None
        try:
            promoted = self._events.promotion(self.definition.name)
        except EventsUnavailable as error:
            if not self.unreadable:
                log("error", "promotions cannot be read", reason=str(error))
            self.unreadable = str(error)
            return
        self.unreadable = ""
        if promoted is not None and promoted not in self.variants:
            self.unreadable = f"{promoted!r} was promoted, but the file has no such variant"
            promoted = None
        if promoted != self.promoted:
            log("info", "a variant was promoted" if promoted else "variants share the users again",
                experiment=self.definition.name, variant=promoted)  # fmt: skip
            self.promoted = promoted


def settings_of(variant: Variant) -> dict[str, Any]:
    """The settings of a variant as fields of `RecommendBody`.

    Raises
    ------
    ValidationError
        A request could not say so either.
    """
    body = RecommendBody.model_validate({"history": [], **variant.settings})
    return {name: getattr(body, name) for name in variant.settings}


def configured_experiment(settings: Settings) -> Experiment | None:
    """The experiment that a service is to run, as far as it can be checked before it starts.

    Raises
    ------
    ShoalError
        The file is none, or a variant asks for what this service does not have.
    """
    if settings.experiment is None:
        return None
    experiment = read_experiment(settings.experiment)
    for name, variant in experiment.variants.items():
        place = f"{settings.experiment}: variants.{name}"
        try:
            settings_of(variant)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ServiceError(f"{place}.{where}: {first['msg']}") from None
        _check_who_answers(settings, variant, place)
    weights = settings.event_weights
    if weights is not None and experiment.success not in weights:
        raise ServiceError(
            f"{settings.experiment}: events of the type {experiment.success!r} count as clicks, "
            f"but event_weights has no such type: add {experiment.success}=1, or another `success`"
        )
    return experiment


def _check_who_answers(settings: Settings, variant: Variant, place: str) -> None:
    names: Iterable[str] = (MAIN, *settings.also)
    if variant.model is not None and variant.model not in names:
        raise ServiceError(
            f"{place}.model: no live model is called {variant.model!r} (there are: "
            f"{', '.join(names)}): add it with --also {variant.model}=PATH"
        )
    if variant.version is None:
        return
    from shoal.artifact import Store, is_store

    if not is_store(settings.model):
        raise ServiceError(
            f"{place}.version: {settings.model} is no store of versions: shoal publish makes one"
        )
    try:
        Store(settings.model).folder(variant.version)
    except ShoalError as error:
        raise ServiceError(f"{place}.version: {error}") from None
