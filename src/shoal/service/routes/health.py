"""Whether the process lives, whether it can answer, and its numbers."""

from __future__ import annotations

import os
from typing import Any, Literal

from pydantic import BaseModel, Field

from shoal.service import siblings
from shoal.service.answer_schemas import ModelName
from shoal.service.endpoints import Call, Endpoint, Reply, Routes
from shoal.service.live import LiveModel
from shoal.service.metrics import CONTENT_TYPE
from shoal.service.settings import MAIN

routes = Routes("health")


class LiveAnswer(BaseModel):
    """The process answers."""

    status: str
    request_id: str
    took_ms: float


class LiveModelState(BaseModel):
    """How one of the live models is."""

    status: Literal["ready", "loading", "degraded", "missing"] = Field(
        description="`degraded`: an old version answers, since the new one cannot be loaded; "
        "`missing`: none answers, since none could be loaded."
    )
    model: ModelName | None = Field(description="What answers; null as long as nothing does.")
    error: str | None = Field(description="What cannot be loaded, and why.")
    n_items: int | None
    loaded: float | None = Field(description="When it was loaded, in seconds since 1970.")


class ExperimentState(BaseModel):
    """How the experiment is."""

    name: str
    promoted: str | None = Field(description="The variant that everybody gets.")
    variants: list[str]


class ReadyAnswer(BaseModel):
    """The main model answers; `degraded` where one is not the version that should."""

    status: str
    degraded: bool
    errors: list[str]
    model: ModelName
    checksum: str
    n_items: int
    loaded: float
    models: dict[str, LiveModelState] = Field(
        description="Each live model by its name; the main one decides whether this is 503."
    )
    experiment: ExperimentState | None = None
    worker: int
    workers: dict[str, str] = Field(description="The version of each worker, by process id.")
    events: str
    request_id: str
    took_ms: float


def live(call: Call) -> dict[str, Any]:
    """Say that the process lives.

    Answered by the event loop itself, within milliseconds also under full load, and whether or not
    there is a model: a process that does not answer this should be restarted.
    """
    return {"status": "live"}


def ready(call: Call) -> dict[str, Any]:
    """Say whether requests can be answered.

    503 as long as no version of the main model is loaded. Where a new version cannot be loaded, the
    old one goes on and this stays 200, with `degraded` and the reason in `errors`; so it does where
    another live model cannot be loaded, a variant of an experiment cannot answer, the database of
    events cannot be read, or its file vanished and was begun anew.
    """
    served, service = call.served, call.service
    models = {name: model_state(live) for name, live in service.models.items()}
    errors = [
        state["error"] if name == MAIN else f"{name}: {state['error']}"
        for name, state in models.items()
        if state["error"]
    ]
    experiment = service.experiment
    if experiment is not None:
        faults = experiment.faults().items()
        errors += [f"variant {name}: {reason}" for name, reason in faults]
        errors += [f"promotions: {experiment.unreadable}"] if experiment.unreadable else []
        versions = [live for live in service.all_models() if live.name not in service.models]
        # one that answers, and would not after the next start: it was removed meanwhile
        errors += [f"{v.name}: {v.trouble.reason}" for v in versions if v.trouble and v.served]
    if service.events is not None and service.events.begun_anew:
        errors.append(f"events: {service.events.begun_anew}")
    if service.histories is not None and service.histories.unreadable:
        errors.append(f"events: {service.histories.unreadable}")
    return {
        "status": "degraded" if errors else "ready",
        "degraded": bool(errors),
        "errors": errors,
        "checksum": served.checksum,
        "n_items": served.model.n_items,
        "loaded": served.loaded,
        "models": models,
        "experiment": experiment
        and {
            "name": experiment.definition.name,
            "promoted": experiment.promoted,
            "variants": list(experiment.variants),
        },
        "worker": os.getpid(),
        "workers": siblings.versions() or {str(os.getpid()): served.version},
        "events": "none" if service.events is None else "configured",
    }


def model_state(live: LiveModel) -> dict[str, Any]:
    """How a live model is, as `LiveModelState` has it."""
    served, trouble = live.served, live.trouble
    status = "ready" if served is not None else "loading"
    if trouble is not None:
        status = "missing" if served is None else "degraded"
    return {
        "status": status,
        "model": None if served is None else {"name": served.name, "version": served.version},
        "error": f"{trouble.version}: {trouble.reason}".removeprefix(": ") if trouble else None,
        "n_items": None if served is None else served.model.n_items,
        "loaded": None if served is None else served.loaded,
    }


def metrics(call: Call) -> Reply:
    """Give the numbers of this service in the text format of Prometheus.

    With several workers, the numbers of all of them together.
    """
    return Reply(call.service.metrics.text(), media_type=CONTENT_TYPE)


for _prefix in ("/v1", ""):
    _shown = bool(_prefix)
    routes.endpoints += [
        Endpoint("GET", f"{_prefix}/live", live, "health", "open", answer=LiveAnswer,
                 at_once=True, documented=_shown),
        Endpoint("GET", f"{_prefix}/ready", ready, "health", "open", answer=ReadyAnswer,
                 at_once=True, documented=_shown),
        Endpoint("GET", f"{_prefix}/metrics", metrics, "health", "read", documented=_shown,
                 media_type="text/plain"),
    ]  # fmt: skip
