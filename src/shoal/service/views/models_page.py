"""Models: the versions behind each live model, what they are worth, and changing which is live."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import Field

from shoal.artifact import Store, Version
from shoal.errors import ArtifactError
from shoal.service import siblings
from shoal.service.charts import interval_bars
from shoal.service.endpoints import Call, Reply, Routes
from shoal.service.leaderboard import Leaderboard, Row, leaderboard
from shoal.service.live import LiveModel
from shoal.service.problems import Problem
from shoal.service.schemas import Body
from shoal.service.settings import MAIN
from shoal.service.versions_of import Versions, versions_of
from shoal.service.views.live_models import trouble_of
from shoal.service.views.rendering import page, see_other
from shoal.service.words import protocol_in_words
from shoal.web import printable

if TYPE_CHECKING:
    from shoal.service.shared import Service

routes = Routes("pages")

MOST_SHOWN = 50  # versions of a store

_Name = Annotated[str, Field(max_length=200)]


class ModelsQuery(Body):
    """What the address of the page may say."""

    model: _Name = Field("", description="Name of a live model.")
    confirm: Literal["", "activate", "rollback"] = Field("", description="What to ask about first.")
    version: _Name = ""
    done: Literal["", "activated", "rolled-back"] = ""


class ChangeForm(Body):
    """What the forms of the page send."""

    model: _Name = Field(MAIN, description="Name of a live model.")
    version: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="The version that is to become live."
    )
    live: _Name = Field("", description="The version that was live when this was asked.")


@routes.page("GET", "/models", query=ModelsQuery, waits=True)
def models(call: Call, query: ModelsQuery) -> Reply:
    """Show the versions of each live model."""
    service = call.service
    known = {name: versions_of(live) for name, live in service.models.items()}
    shown = {name: _newest(versions) for name, versions in known.items()}
    folders = {name: path for each in known.values() for name, path in each.folders.items()}
    # one table for all live models, so that all of their versions are compared
    table = leaderboard([version for each in shown.values() for version in each], folders)
    begin, boards = 0, []
    for name, versions in known.items():
        rows = table.rows[begin : begin + len(shown[name])]
        begin += len(shown[name])
        boards.append(_board(name, service.models[name], versions, rows))
    question = None
    if query.confirm:
        name = query.model or MAIN
        _live_model(service, name)  # a problem where there is none
        question = _question(name, known[name], query)
    done, done_state = _done(boards, query)
    values = {
        "boards": boards,
        "table": table,
        "bars": _bars(table),
        "question": question,
        "in_words": protocol_in_words,
        "done": done,
        "done_state": done_state,
        "several": len(boards) > 1,
    }
    return page("models.html", call, values, title="Models", here="/models")


@routes.page("POST", "/models/activate", form=ChangeForm, access="admin", waits=True)
def activate(call: Call, form: ChangeForm) -> Reply:
    """Make a version live, if nobody has changed the live one since it was asked for."""
    return _changed(call, form, "activated", lambda store: store.activate(form.version))


@routes.page("POST", "/models/rollback", form=ChangeForm, access="admin", waits=True)
def rollback(call: Call, form: ChangeForm) -> Reply:
    """Make the version live that was live before."""
    return _changed(call, form, "rolled-back", lambda store: store.rollback())


def _changed(call: Call, form: ChangeForm, done: str, change: Callable[[Store], Version]) -> Reply:
    live = _live_model(call.service, form.model)
    known = versions_of(live)
    if not known.is_store:
        raise Problem(
            409, f"{form.model} is one model folder and no store: shoal publish makes one"
        )
    if known.named(form.version) is None:
        raise Problem(404, f"there is no version {printable(form.version, 200)} of {form.model}")
    if form.live != (known.live or "") or (done == "rolled-back" and form.version != known.back):
        raise Problem(
            409,
            f"meanwhile {known.live or 'no version'} is live: look at /models again, and decide",
        )
    try:
        version = change(Store(live.path))
    except ArtifactError as error:
        raise Problem(409, printable(error, 500)) from None
    live.look_now()
    query = {"done": done, "model": form.model, "version": version.name}
    return see_other(f"/models?{urlencode(query)}")


def _live_model(service: Service, name: str) -> LiveModel:
    live = service.models.get(name)
    if live is None:
        there = ", ".join(service.models)
        raise Problem(404, f"there is no live model {printable(name, 200)!r}: there are {there}")
    return live


def _newest(known: Versions) -> list[Version]:
    """The newest versions, the live one, and the one that a roll-back leads to."""
    kept = {known.live, known.back}
    return [v for n, v in enumerate(known.versions) if n < MOST_SHOWN or v.name in kept]


def _board(name: str, live: LiveModel, known: Versions, rows: list[Row]) -> dict[str, Any]:
    """What the page shows of one live model."""
    served, trouble = live.served, trouble_of(live)
    answers = None if served is None else served.version
    workers = siblings.versions() if name == MAIN else {}
    return {
        "name": name,
        "path": str(live.path),
        "known": known,
        "rows": rows,
        "served": served,
        "answers": answers,
        "trouble": trouble,
        "loading": bool(known.live and known.live != answers and not trouble),
        "workers": len(workers),
        "workers_with_live": sum(version == known.live for version in workers.values()),
    }


def _bars(table: Leaderboard) -> dict[str, Any]:
    """The first metric of each version with its interval, on one axis for each group."""
    if not table.metrics:
        return {}
    metric = table.metrics[0]
    bars: dict[str, Any] = {}
    for group in table.groups:
        rows = [row for row in table.rows if row.group == group.letter and metric in row.cells]
        cells = [row.cells[metric] for row in rows]
        texts = [
            f"{metric} of {row.version.name}: {cell.text} {cell.margin}".strip()
            for row, cell in zip(rows, cells, strict=True)
        ]
        colours = ["1" if row.version.live else "3" for row in rows]
        drawn = interval_bars(
            [(cell.low, cell.mean, cell.high) for cell in cells],
            texts, colours=colours, width=120.0,
        )  # fmt: skip
        bars |= {row.version.name: bar for row, bar in zip(rows, drawn, strict=True)}
    return bars


def _question(name: str, known: Versions, query: ModelsQuery) -> dict[str, Any]:
    """What is asked before the live version is changed: what will be different."""
    wanted = known.back if query.confirm == "rollback" else query.version
    target = None if wanted is None else known.named(wanted)
    if not known.is_store:
        refused = "this is one model folder, and no store of versions"
    elif query.confirm == "rollback" and wanted is None:
        refused = "no version that was live before is there and whole"
    elif target is None:
        refused = f"there is no version {wanted}"
    elif target.error:
        refused = target.error
    elif target.live:
        refused = f"{target.name} is live already"
    else:
        refused = ""
    present = None if known.live is None else known.named(known.live)
    shown = [version for version in (present, target) if version is not None]
    table = leaderboard(shown, known.folders)
    rows = {row.version.name: row for row in table.rows}
    return {
        "action": query.confirm,
        "model": name,
        "refused": refused,
        "target": target,
        "present": present,
        "changes": _changes(table, rows, present, target) if target and not refused else [],
        "same_data": table.same_data,
        "compares": table.compares,
    }


def _changes(
    table: Leaderboard, rows: dict[str, Row], present: Version | None, target: Version
) -> list[tuple[str, str, str]]:
    """(what, now, then) for each thing that the two versions say of themselves."""
    now = None if present is None else rows[present.name]
    then = rows[target.name]

    def both(what: str, tell: Callable[[Row], str]) -> tuple[str, str, str]:
        return what, "" if now is None else tell(now), tell(then)

    def value(metric: str) -> Callable[[Row], str]:
        def tell(row: Row) -> str:
            cell = row.cells.get(metric)
            return "" if cell is None else f"{cell.text} {cell.margin}".strip()

        return tell

    changes = [
        both("version", lambda row: row.version.name),
        both("model", lambda row: row.version.model),
        both("settings", lambda row: row.settings),
        both("made", lambda row: row.age),
        both("items", lambda row: _count(None if row.data is None else row.data.items)),
        both(
            "interactions", lambda row: _count(None if row.data is None else row.data.interactions)
        ),
        both("note", lambda row: row.version.note),
        *(both(metric, value(metric)) for metric in table.metrics),
    ]
    return [change for change in changes if change[1] or change[2]]


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _done(boards: list[dict[str, Any]], query: ModelsQuery) -> tuple[str, str]:
    """What to say after a change, and its colour; nothing of what an address merely claims."""
    for board in boards:
        known: Versions = board["known"]
        if query.done and board["name"] == query.model and known.live == query.version:
            before = " It was live before." if query.done == "rolled-back" else ""
            if board["answers"] == known.live:
                return f"{query.version} answers now.{before}", "good"
            if board["trouble"]:
                return f"{query.version} was chosen, but does not answer.", "warn"
            return f"{query.version} was chosen; it answers within seconds.{before}", ""
    return "", ""
