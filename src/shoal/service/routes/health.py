"""Whether the process lives, whether it can answer, and its numbers."""

from __future__ import annotations

import os
from typing import Any

from pydantic import BaseModel, Field

from shoal.service import siblings
from shoal.service.endpoints import Call, Endpoint, Reply, Routes
from shoal.service.metrics import CONTENT_TYPE
from shoal.service.schemas import ModelName

routes = Routes("health")


class LiveAnswer(BaseModel):
    """The process answers."""

    status: str
    request_id: str
    took_ms: float


class ReadyAnswer(BaseModel):
    """The model answers; `degraded` where it is not the version that should."""

    status: str
    degraded: bool
    errors: list[str]
    model: ModelName
    checksum: str
    n_items: int
    loaded: float
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

    503 as long as no version of the model is loaded. Where a new version cannot be loaded, the old
    one goes on and this stays 200, with `degraded` and the reason in `errors`.
    """
    served, trouble = call.served, call.service.live.trouble
    errors = [f"{trouble.version}: {trouble.reason}".removeprefix(": ")] if trouble else []
    return {
        "status": "degraded" if errors else "ready",
        "degraded": bool(errors),
        "errors": errors,
        "checksum": served.checksum,
        "n_items": served.model.n_items,
        "loaded": served.loaded,
        "worker": os.getpid(),
        "workers": siblings.versions() or {str(os.getpid()): served.version},
        "events": "none" if call.service.events is None else "configured",
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
