"""Experiments: what each variant's users clicked, how sure that is, and deciding for a variant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from shoal.errors import EventsUnavailable
from shoal.online.doubts import doubts, guard_sentence
from shoal.service.charts import IntervalBar, interval_bars
from shoal.service.endpoints import Call, Reply, Routes
from shoal.service.experiment import RunningExperiment
from shoal.service.problems import Problem
from shoal.service.routes.online import PromoteBody, promote, running_experiment
from shoal.service.schemas import Body
from shoal.service.views.rendering import host_of, page, see_other
from shoal.service.words import with_minus
from shoal.web import printable

if TYPE_CHECKING:
    from shoal.online.results import Guard, OnlineReport, VariantReport
    from shoal.online.sequence import Interval
    from shoal.service.shared import Service

routes = Routes("pages")

VERDICTS = {  # words, and the class of their badge
    "better": ("more clicks", "good"),
    "worse": ("fewer clicks", "bad"),
    "not known yet": ("not known yet", ""),
    "too few users": ("too few users", ""),
}
EXAMPLE = """\
name: autumn
variants:
  control: {share: 0.5}
  diverse: {share: 0.5, diversity: 0.3}
control: control
success: click
guards:
  coverage: 0.8
  popularity: 1.25
"""

_Name = Annotated[str, Field(max_length=200)]


class OnlineQuery(Body):
    """What the address of the page may say."""

    confirm: Literal["", "promote", "undo"] = Field("", description="What to ask about first.")
    variant: _Name = ""
    done: Literal["", "promoted", "undone"] = ""


class DecisionForm(Body):
    """What the forms of the page send."""

    variant: _Name = Field("", description="The variant that everybody is to get; empty to undo.")
    before: _Name = Field("", description="The variant that was promoted when this was asked.")


@routes.page("GET", "/online", query=OnlineQuery, waits=True)
def online(call: Call, query: OnlineQuery) -> Reply:
    """Show the experiment of this service."""
    service, experiment = call.service, call.service.experiment
    report, trouble = _report(service)
    values: dict[str, Any] = {
        "experiment": None if experiment is None else experiment.definition,
        "has_events": service.events is not None,
        "faults": {} if experiment is None else experiment.faults(),
        "unreadable": "" if experiment is None else experiment.unreadable,
        "trouble": trouble,
        "report": report,
        "example": EXAMPLE,
        "model_path": str(service.settings.model),
        "host": host_of(call),
        "question": None,
        "done": "",
    }
    if report is not None and experiment is not None:
        values |= _told(report)
        values["done"] = _done(report, query)
        if query.confirm:
            values["question"] = _question(experiment, report, query)
    return page("online.html", call, values, title="Experiments", here="/online")


@routes.page("POST", "/online/promote", form=DecisionForm, access="admin", waits=True)
def promote_variant(call: Call, form: DecisionForm) -> Reply:
    """Give everybody one variant, if nobody has decided otherwise since it was asked for."""
    if not form.variant:
        raise Problem(422, "form.variant: name the variant that everybody is to get")
    _decide(call, form, form.variant)
    return see_other("/online?done=promoted")


@routes.page("POST", "/online/undo", form=DecisionForm, access="admin", waits=True)
def undo_promotion(call: Call, form: DecisionForm) -> Reply:
    """Give users their own variants again."""
    _decide(call, form, None)
    return see_other("/online?done=undone")


def _decide(call: Call, form: DecisionForm, variant: str | None) -> None:
    experiment = running_experiment(call)
    if call.service.events is None:
        raise Problem(409, "there is no store of events, so nothing can be decided")
    experiment.look()
    if form.before != (experiment.promoted or ""):
        now = f"{experiment.promoted} is promoted" if experiment.promoted else "none is promoted"
        raise Problem(409, f"meanwhile {now}: look at /online again, and decide")
    promote(call, PromoteBody(variant=variant))


def _report(service: Service) -> tuple[OnlineReport | None, str]:
    """The report of the experiment, and why there is none although there should be."""
    if service.reports is None:
        return None, ""
    try:
        return service.reports.report(), ""
    except EventsUnavailable as error:
        return None, printable(error, 500)
    except Problem as problem:  # another one is being made
        return None, problem.detail


def _told(report: OnlineReport) -> dict[str, Any]:
    """The numbers of a report as the page shows them."""
    variants = report.variants
    control = report.variant(report.control)
    rates = _bars(
        [(v.interval, v.rate, _rate_text(v)) for v in variants],
        ["3" if v.is_control else "1" for v in variants],
        control.rate,
    )
    differences = _bars(
        [
            (None, None, "")
            if v.difference is None
            else (v.difference.interval, v.difference.value, _difference_text(v))
            for v in variants
        ],
        ["2" if v.difference and v.difference.verdict == "worse" else "1" for v in variants],
        0.0,
    )
    rows = [
        _row(report, variant, rate, difference)
        for variant, rate, difference in zip(variants, rates, differences, strict=True)
    ]
    total_users = sum(v.users for v in variants)
    return {
        "rows": rows,
        "users": total_users,
        "lists": sum(v.lists for v in variants),
        "impressions": sum(v.impressions for v in variants),
        "clicks": sum(v.clicks for v in variants),
        "state": _state(report),
        "expected": [
            (v.name, v.users, round(report.sample_ratio.expected[v.name])) for v in variants
        ],
        "mismatch": report.sample_ratio.mismatch,
        "p": f"{report.sample_ratio.p:.2g}",
        "level": f"{report.sample_ratio.level:g}",
        "confidence": f"{100 * (1 - report.alpha):.0f} %",
    }


def _state(report: OnlineReport) -> str:
    """The class of the notice with the conclusion."""
    if report.sample_ratio.mismatch:
        return "bad"
    winners = [v for v in report.variants if v.difference and v.difference.verdict == "better"]
    if winners:
        return "good" if any(v.guards_passed is not False for v in winners) else "warn"
    return ""


def _row(
    report: OnlineReport,
    variant: VariantReport,
    rate: IntervalBar | None,
    difference: IntervalBar | None,
) -> dict[str, Any]:
    verdict, badge = ("the control", "") if variant.is_control else ("", "")
    about: dict[str, str] = {}
    if variant.difference is not None:
        verdict, badge = VERDICTS[variant.difference.verdict]
        about = {
            "value": _percent(variant.difference.value, "+"),
            "interval": _interval_text(variant.difference.interval, "+"),
            "relative": ""
            if variant.difference.relative is None
            else _relative_text(variant.difference.relative),
        }
    return {
        "variant": variant,
        "settings": settings_text(variant.settings),
        "rate": _percent(variant.rate),
        "rate_interval": _interval_text(variant.interval),
        "rate_bar": rate,
        "difference": about,
        "difference_bar": difference,
        "verdict": verdict,
        "badge": badge,
        "guards": [_guard(guard, report.control) for guard in variant.guards],
        "is_promoted": report.promoted == variant.name,
    }


def settings_text(settings: dict[str, Any]) -> str:
    """What is different in a variant, in words."""
    if not settings:
        return "as it is without an experiment"
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _relative_text(relative: float) -> str:
    """A difference as a share of the control's rate, such as ``34.4 % fewer clicks``."""
    if round(100 * relative, 1) == 0:
        return "as many clicks"
    return f"{abs(100 * relative):.1f} % {'more' if relative > 0 else 'fewer'} clicks"


def _guard(guard: Guard, control: str) -> dict[str, str]:
    """A guard as the page tells it: what, whether it holds, and the numbers."""
    if guard.ratio is None or guard.passed is None:
        return {"name": guard.name, "badge": "", "word": "not known", "why": guard.why}
    return {
        "name": guard.name,
        "badge": "good" if guard.passed else "bad",
        "word": "holds" if guard.passed else "broken",
        "why": guard_sentence(guard, control),
    }


def _bars(
    rows: list[tuple[Interval | None, float | None, str]],
    colours: list[str],
    reference: float | None,
) -> list[IntervalBar | None]:
    return interval_bars(
        [
            (None if i is None else i.low, value, None if i is None else i.high)
            for i, value, _ in rows
        ],
        [text for _, _, text in rows],
        colours=colours,
        reference=reference,
    )


def _rate_text(variant: VariantReport) -> str:
    return f"{variant.name}: {_percent(variant.rate)}, {_interval_text(variant.interval)}"


def _difference_text(variant: VariantReport) -> str:
    difference = variant.difference
    assert difference is not None
    interval = _interval_text(difference.interval, "+")
    return f"{variant.name} to control: {_percent(difference.value, '+')}, {interval}"


def _percent(value: float | None, sign: str = "") -> str:
    return "–" if value is None else with_minus(f"{100 * value:{sign}.2f}\N{NO-BREAK SPACE}%")


def _interval_text(interval: Interval | None, sign: str = "") -> str:
    if interval is None:
        return "no interval yet"
    return f"{_percent(interval.low, sign)} to {_percent(interval.high, sign)}"


def _question(
    experiment: RunningExperiment, report: OnlineReport, query: OnlineQuery
) -> dict[str, Any]:
    """What is asked before everybody gets one variant, or their own ones again."""
    definition, before = experiment.definition, report.promoted or ""
    asked: dict[str, Any] = {"action": query.confirm, "before": before, "refused": ""}
    if query.confirm == "undo":
        if not before:
            asked["refused"] = "no variant is promoted, so there is nothing to undo"
        return asked | {"button": "Undo", "fields": {"before": before}, "is_dangerous": False}
    if query.variant not in definition.variants:
        known = ", ".join(definition.variants)
        return asked | {"refused": f"there is no variant {query.variant!r}: there are {known}"}
    variant = report.variant(query.variant)
    if before == variant.name:
        return asked | {"refused": f"{variant.name} is promoted already"}
    against = doubts(report, variant.name)
    fault = experiment.faults().get(variant.name, "")
    return asked | {
        "button": f"Promote {variant.name}",
        "fields": {"variant": variant.name, "before": before},
        "variant": variant.name,
        "settings": settings_text(variant.settings),
        "version": definition.variants[variant.name].version or "",
        "warnings": [f"It cannot answer at the moment: {fault}"] * bool(fault)
        + [doubt.text for doubt in against],
        "is_dangerous": bool(fault) or any(doubt.is_serious for doubt in against),
        "share": f"{100 * variant.share:.0f} %",
    }


def _done(report: OnlineReport, query: OnlineQuery) -> str:
    """What to say after a decision; nothing of what an address merely claims."""
    if query.done == "promoted" and report.promoted:
        return f"Everybody gets {report.promoted} from now on; other workers follow in seconds."
    if query.done == "undone" and report.promoted is None:
        return "Users get their own variants again."
    return ""
