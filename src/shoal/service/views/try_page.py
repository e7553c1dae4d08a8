"""Try: find items, build a history, and see what is recommended for it and why."""

from __future__ import annotations

import csv
import io
import math
from typing import Any
from urllib.parse import urlencode

from pydantic import Field

from shoal.errors import HistoryError
from shoal.inference.recommend import recommend
from shoal.inference.recommendations import Recommendations
from shoal.service import answers, limits
from shoal.service.endpoints import Call, Reply, Routes
from shoal.service.live import Served
from shoal.service.problems import Problem
from shoal.service.routes.catalogue import item_rows, search_of
from shoal.service.schemas import Body
from shoal.service.views.rendering import page

routes = Routes("pages")

K = 10  # recommendations on the first page
SHOWN = 12  # items of a search on the first page
REASONS = 3
BAR = 40.0  # width of the longest bar


class PageQuery(Body):
    """What the forms of the first page send."""

    history: str = Field("", max_length=8000)
    search: str = Field("", max_length=200)


@routes.page("GET", "/", query=PageQuery)
def start(call: Call, query: PageQuery) -> Reply:
    """Show the first page: what is served, and recommendations for a history."""
    live = call.service.live
    served, trouble = live.served, live.trouble
    values: dict[str, Any] = {
        "served": served,
        "trouble": trouble.reason if trouble else "",
        "search": query.search,
    }
    if served is not None:
        values |= _list_for(served, _ids(query.history), query.search)
    status = 200 if served is not None else 503
    return page("try.html", call, values, title="Try", here="/", status=status)


def _list_for(served: Served, ids: list[str], search: str) -> dict[str, Any]:
    """What the first page shows of a history and a search."""
    model = served.model
    positions = model.items.lookup(ids)
    known = dict.fromkeys(positions[positions >= 0].tolist())  # each once, in their order
    chosen = item_rows(model, list(known))
    mine = [str(row["item"]) for row in chosen]
    for row in chosen:
        row["without"] = _link([i for i in mine if i != str(row["item"])], search)
    matches = search_of(served).find(search)
    found = item_rows(model, [p for p in matches[: SHOWN + len(known)] if p not in known][:SHOWN])
    for row in found:
        row["added"] = _link([*mine, str(row["item"])], "")
    rows, fallback, refused = [], None, ""
    try:
        answer = _recommended(served, [row["item"] for row in chosen])
        rows, fallback = _with_bars(answer), answer.fallback
    except HistoryError as error:  # a model that rates for users of its training data alone
        refused = str(error)
    return {
        "n_items": model.n_items,
        "history": _written(mine),
        "chosen": chosen,
        "unknown": [i for i, p in zip(ids, positions.tolist(), strict=True) if p < 0],
        "found": found,
        "total": len(matches),
        "rows": rows,
        "fallback": fallback,
        "refused": refused,
    }


def _recommended(served: Served, history: list[Any]) -> Recommendations:
    """The list for a history, with reasons where the model has them."""
    k = answers.clipped(served.model, K)
    for because in (REASONS, False) if history else (False,):
        try:
            return recommend(served.model, history, k, because=because, run=answers.ONE_THREAD)
        except HistoryError:
            if not because:
                raise
    raise AssertionError("the last attempt returns or raises")


def _with_bars(answer: Recommendations) -> list[dict[str, Any]]:
    """The rows with numbers of as many digits, and bars as long as the contributions are."""
    rows = [answers.row(item, explain=True) for item in answer.rows]
    reasons = [reason for row in rows for reason in row["because"]]
    longest = max((abs(reason["contribution"]) for reason in reasons), default=0.0)
    scores = [row["score"] for row in rows]
    for row in rows:
        row["shown"] = f"{row['score']:.{_decimals(scores)}f}"
    for reason in reasons:
        reason["shown"] = f"{reason['contribution']:+.{_decimals(scores)}f}"
        share = abs(reason["contribution"]) / longest if longest else 0.0
        reason["bar"] = f"{BAR * share:.1f}"
    return rows


def _decimals(values: list[float]) -> int:
    """Decimals that show three digits of the largest value."""
    largest = max(map(abs, values), default=0.0)
    return min(max(2 - math.floor(math.log10(largest)), 0), 9) if largest else 0


def _ids(text: str) -> list[str]:
    """The ids of a form: with commas between them, those with commas in quotes."""
    try:
        row = next(csv.reader([" ".join(text.split())], skipinitialspace=True), [])
    except csv.Error:
        raise Problem(422, "query.history: write ids with commas between them") from None
    ids = [i.strip() for i in row if i.strip()]
    if len(ids) > limits.HISTORY or any(len(i) > limits.ID_CHARACTERS for i in ids):
        raise Problem(
            422,
            f"query.history: give at most {limits.HISTORY:,} ids of at most "
            f"{limits.ID_CHARACTERS} characters",
        )
    return ids


def _written(ids: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(ids)
    return text.getvalue().removesuffix("\r\n")


def _link(history: list[str], search: str) -> str:
    """The address of the first page with a history."""
    query = {"history": _written(history)} if history else {}
    if search:
        query["search"] = search
    return f"/?{urlencode(query)}" if query else "/"
