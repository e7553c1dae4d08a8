"""Making the next version by hand (administrators); `shoal refresh` does it by a schedule."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from shoal.service.endpoints import Call, Reply, Routes
from shoal.service.problems import Problem
from shoal.service.refreshing import Refreshing, RefreshIsRunningError

routes = Routes("models")


class RefreshAnswer(BaseModel):
    """Whether a refresh runs, and how the last one ended."""

    running: bool
    started: float | None = Field(description="Seconds since 1970.")
    ended: float | None
    exit_code: int | None = Field(
        description="0 where it published, 3 where the new version was worse, 2 where it failed."
    )
    result: Any = Field(
        description="What `shoal refresh --json` reported: what it decided and why."
    )
    error: str | None = Field(description="What it said in place of a result.")
    request_id: str
    took_ms: float


@routes.post(
    "/v1/refresh",
    answer=RefreshAnswer,
    access="admin",
    status=202,
    problems=(404, 409),
    names_model=False,
    waits=True,
)
def refresh(call: Call) -> Reply:
    """Begin to make the next version from the log and the events, in a process of its own.

    It is published only if it is not worse than the one that answers, as the configuration says.
    """
    refreshing = _refreshing(call)
    try:
        refreshing.start()
    except RefreshIsRunningError:
        raise Problem(409, "a refresh runs already: GET /v1/refresh tells how it goes") from None
    return Reply(_members(refreshing.state()), 202)


@routes.get(
    "/v1/refresh",
    answer=RefreshAnswer,
    access="admin",
    problems=(404,),
    names_model=False,
    waits=True,
)
def refresh_state(call: Call) -> dict[str, Any]:
    """Say whether a refresh runs, and how the last one ended that this service began."""
    return _members(_refreshing(call).state())


def _members(state: dict[str, Any]) -> dict[str, Any]:
    names = ("started", "ended", "exit_code", "result", "error")
    return {"running": state["running"], **{name: state.get(name) for name in names}}


def _refreshing(call: Call) -> Refreshing:
    refreshing = call.service.refreshing
    if refreshing is None:
        raise Problem(
            404, "this service has no configuration of a refresh: --refresh FILE names it"
        )
    return refreshing
