"""The experiment that runs: what it has shown so far, and deciding it (administrators)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field

from shoal.errors import ArtifactError, DataError
from shoal.service.endpoints import Call, Routes
from shoal.service.experiment import RunningExperiment
from shoal.service.online_reports import store_of_main
from shoal.service.problems import Problem
from shoal.service.routes.events import Moment, events_of
from shoal.service.schemas import Body
from shoal.web import printable

routes = Routes("online")


class IntervalOfRate(BaseModel):
    """A confidence interval that holds whenever one looks."""

    low: float
    high: float


class DifferenceOfVariant(BaseModel):
    """How a variant differs from the control."""

    value: float | None = Field(
        description="Its click-through rate minus that of the control; null if either has none."
    )
    relative: float | None = Field(description="The same as a share of the control's rate.")
    interval: IntervalOfRate | None = Field(description="null with too few users.")
    verdict: Literal["better", "worse", "not known yet", "too few users"]


class GuardOfVariant(BaseModel):
    """A number that must not move too far from the control's."""

    name: str
    value: float | None
    control: float | None
    ratio: float | None
    limit: float
    passed: bool | None = Field(description="null where it is not known; `why` says why.")
    why: str


class VariantRow(BaseModel):
    """What is known of a variant."""

    name: str
    share: float
    settings: dict[str, Any]
    is_control: bool
    users: int
    lists: int
    impressions: int = Field(description="Items in these lists.")
    clicks: int = Field(description="Items of them that were clicked.")
    rate: float | None = Field(description="clicks / impressions; null if nothing was shown.")
    interval: IntervalOfRate | None
    difference: DifferenceOfVariant | None = Field(description="null for the control.")
    coverage: float | None
    popularity: float | None
    guards: list[GuardOfVariant]


class SampleRatioOfVariants(BaseModel):
    """Whether each variant has as many users as its share says."""

    p: float
    level: float
    mismatch: bool
    expected: dict[str, float]


class OnlineAnswer(BaseModel):
    """What the experiment has shown so far."""

    experiment: str
    success: str
    control: str
    promoted: str | None = Field(description="The variant that everybody gets now.")
    since: float | None
    until: float | None
    first: float | None
    last: float | None
    alpha: float
    least_users: int
    variants: list[VariantRow]
    sample_ratio: SampleRatioOfVariants
    left_out: dict[str, Any] = Field(description="What is stored and does not count.")
    conclusion: str
    notes: list[str]
    request_id: str
    took_ms: float


def _as_number(value: Any) -> Any:
    """A number of seconds, which a query writes as text like everything else."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


QueryMoment: TypeAlias = Annotated[Moment, BeforeValidator(_as_number)]


class OnlineQuery(Body):
    """Which lists count."""

    since: QueryMoment | None = Field(None, description="Lists that were shown from then on.")
    until: QueryMoment | None = Field(None, description="Lists that were shown before then.")


class PromoteBody(Body):
    """Which variant everybody gets."""

    variant: Annotated[str, Field(strict=True, min_length=1, max_length=64)] | None = Field(
        description="null takes it back: each user gets the own variant again.",
        examples=["diverse"],
    )


class PromotedAnswer(BaseModel):
    """What everybody gets from now on; other workers and services follow within seconds."""

    experiment: str
    variant: str | None
    before: str | None
    activated: str | None = Field(description="The version of the store that is live for it now.")
    notes: list[str] = Field(description="What remains to be done.")
    request_id: str
    took_ms: float


@routes.get(
    "/v1/online",
    query=OnlineQuery,
    answer=OnlineAnswer,
    problems=(404, 422),
    names_model=False,
    waits=True,
)
def online(call: Call, query: OnlineQuery) -> dict[str, Any]:
    """Report what the experiment has shown so far: click-through by variant, and how sure that is.

    The intervals hold however often one looks. An answer may be some seconds old.
    """
    running_experiment(call), events_of(call)
    reports = call.service.reports
    assert reports is not None
    return reports.report(query.since, query.until).to_dict()


@routes.post(
    "/v1/online/promote",
    body=PromoteBody,
    answer=PromotedAnswer,
    access="admin",
    problems=(404, 409),
    names_model=False,
    waits=True,
)
def promote(call: Call, body: PromoteBody) -> dict[str, Any]:
    """Give everybody one variant, also requests without a user, until that is taken back.

    A variant that is a version of the store is made the live one, too.
    """
    from shoal.online.promotion import promote as decide
    from shoal.online.promotion import undo

    experiment, store = running_experiment(call), events_of(call)
    models = store_of_main(call.service.settings)
    if body.variant is not None and body.variant not in experiment.variants:
        name = printable(body.variant, 80)
        known = ", ".join(experiment.variants)
        raise Problem(
            404,
            f"body.variant: experiment {experiment.definition.name} has no variant {name!r}; there "
            f"are {known}",
            [("body.variant", "no such variant")],
        )
    try:
        if body.variant is None:
            decision = undo(store, experiment.definition, models)
        else:
            decision = decide(store, experiment.definition, body.variant, models)
    except (ArtifactError, DataError) as error:
        raise Problem(409, printable(error, 500)) from None
    experiment.look()  # here at once; other workers look every few seconds
    call.service.live.look_now()
    assert call.service.reports is not None
    call.service.reports.forget()
    return {
        "experiment": decision.experiment,
        "variant": decision.variant,
        "before": decision.before,
        "activated": decision.activated,
        "notes": list(decision.notes),
    }


def running_experiment(call: Call) -> RunningExperiment:
    """The experiment of this service.

    Raises
    ------
    Problem
        404: there is none.
    """
    experiment: RunningExperiment | None = call.service.experiment
    if experiment is None:
        raise Problem(
            404, "this service runs no experiment: shoal serve STORE --experiment FILE starts one"
        )
    return experiment
