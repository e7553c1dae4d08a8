"""Versions of the model: which there are, which is live, and changing that (administrators)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from shoal.artifact import Store, Version, is_store
from shoal.errors import ArtifactError
from shoal.service.endpoints import Call, Routes
from shoal.service.problems import Problem
from shoal.service.schemas import Body
from shoal.web import printable

routes = Routes("models")


class VersionRow(BaseModel):
    """One version."""

    version: str
    live: bool = Field(description="Whether the store names it as the one to answer.")
    created: str
    model: str
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    bytes: int
    n_items: int
    note: str
    error: str = Field(description="Why it cannot be used; empty if it can.")


class ModelsAnswer(BaseModel):
    """All versions."""

    models: list[VersionRow] = Field(description="The newest first.")
    answers: str | None = Field(
        description="The version that answers in the worker that was asked."
    )
    request_id: str
    took_ms: float


class ChangedAnswer(BaseModel):
    """The version that is live from now on."""

    live: VersionRow
    answers: str | None = Field(
        description="The version that answers at this moment; each worker changes as soon as it "
        "has loaded the live one."
    )
    request_id: str
    took_ms: float


class ActivateBody(Body):
    """Which version."""

    version: Annotated[str, Field(strict=True, min_length=1, max_length=200)] = Field(
        description="Its name, as `models` lists it."
    )


@routes.get("/v1/models", answer=ModelsAnswer, names_model=False)
def models(call: Call) -> dict[str, Any]:
    """List the versions of the model: what and when, metrics, size, and which is live."""
    served = call.service.live.served
    path = call.service.settings.model
    rows = []
    if is_store(path):
        rows = [version_row(version) for version in Store(path).versions()]
    elif served is not None:  # one model folder, which is no store
        rows = [
            version_row(
                Version(
                    served.version, served.created, served.name, served.model.model_dump(),
                    n_items=served.model.n_items, live=True,
                )
            )
        ]  # fmt: skip
    return {"models": rows, "answers": None if served is None else served.version}


@routes.post(
    "/v1/models/activate",
    body=ActivateBody,
    answer=ChangedAnswer,
    access="admin",
    problems=(404, 409),
    names_model=False,
    waits=True,
)
def activate(call: Call, body: ActivateBody) -> dict[str, Any]:
    """Make a version live. It is checked first; the others stay in the store."""
    store = _store(call)
    try:
        store.folder(body.version)
    except ArtifactError as error:
        raise Problem(404, f"body.version: {printable(error, 500)}") from None
    try:
        version = store.activate(body.version)
    except ArtifactError as error:
        raise Problem(409, printable(error, 500)) from None
    return _changed(call, version)


@routes.post(
    "/v1/models/rollback",
    answer=ChangedAnswer,
    access="admin",
    problems=(409,),
    names_model=False,
    waits=True,
)
def rollback(call: Call) -> dict[str, Any]:
    """Make the version live that was live before; once more goes further back."""
    try:
        version = _store(call).rollback()
    except ArtifactError as error:
        raise Problem(409, printable(error, 500)) from None
    return _changed(call, version)


def version_row(version: Version) -> dict[str, Any]:
    """A version as it is told."""
    return {
        "version": version.name,
        "live": version.live,
        "created": version.created,
        "model": version.model,
        "parameters": version.parameters or {},
        "metrics": version.metrics or {},
        "bytes": version.bytes,
        "n_items": version.n_items,
        "note": version.note,
        "error": version.error,
    }


def _store(call: Call) -> Store:
    path = call.service.settings.model
    if not is_store(path):
        raise Problem(
            409,
            "this service has one model folder and no store of versions: shoal publish makes one",
        )
    return Store(path)


def _changed(call: Call, version: Version) -> dict[str, Any]:
    call.service.live.look_now()
    served = call.service.live.served
    return {
        "live": version_row(version),
        "answers": None if served is None else served.version,
    }
