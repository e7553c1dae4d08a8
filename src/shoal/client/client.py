"""`Client`: asks a service that `shoal serve` runs, with retries and timeouts.

The methods have the names of the routes. Answers are plain dictionaries, just as the service sends
them; errors are `RequestError`s with the service's own words.

>>> from shoal.client import Client
>>> with Client("http://127.0.0.1:8000", key="…") as client:          # doctest: +SKIP
...     answer = client.recommend(history=["1193", "661"], k=10)
...     [row["item"] for row in answer["items"]]
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from shoal.client.connection import Answer, Connection, given, segment

if TYPE_CHECKING:
    import httpx

History = Sequence[Any] | Mapping[Any, float]


class Client:
    """A client of the service; one object may be used by many threads.

    Needs the extra: ``pip install 'shoal[client]'``.

    Parameters
    ----------
    url : str
        Where the service is, such as ``http://127.0.0.1:8000``.
    key : str or None
        A key of the service; an admin's key for `activate`, `rollback` and `refresh`.
    timeout : float
        Seconds to wait for a connection, and then for an answer, before giving up.
    retries : int
        How often a request is repeated that met a busy service (429, 503) or no connection. A
        request that timed out is not repeated: that would only add to the load.
    transport : httpx.BaseTransport or None
        Replaces the network, for tests.

    Raises
    ------
    MissingExtraError
        httpx is not installed.
    ValueError
        An address or a key that cannot be one.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 10.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection(url, key, timeout, retries, transport)

    def __repr__(self) -> str:
        return f"Client({self._connection.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client cannot be used afterwards."""
        self._connection.close()

    # --- answers -------------------------------------------------------------------------------

    def recommend(
        self,
        history: History | None = None,
        *,
        user: Any = None,
        k: int | None = None,
        **options: Any,
    ) -> Answer:
        """Recommend items for a history, or for a user by their events.

        Parameters
        ----------
        history : sequence of ids, or mapping of ids to weights
        user : id
        k : int
        **options
            ``exclude``, ``only``, ``include_seen``, ``filter``, ``boost``, ``diversity``,
            ``steer``, ``new_items``, ``explain``, ``model``: as the service's documentation says.
            All methods that take options take ``model``, the name of the live model to answer.

        Returns
        -------
        dict
            ``items`` (rows with item, score, rank, …), ``unknown``, ``fallback``, ``model``,
            ``variant`` (of an experiment, else None), ``request_id``, ….

        Raises
        ------
        RequestError
        """
        return self._post("recommend", history=history, user=user, k=k, **options)

    def similar(self, item: Any, k: int | None = None, **options: Any) -> Answer:
        """Find the items most similar to one, by the model.

        Options are ``filter``, ``boost`` and ``diversity``, as for `recommend`.
        """
        return self._post("similar", item=item, k=k, **options)

    def dissimilar(self, item: Any, k: int | None = None, **options: Any) -> Answer:
        """Find the items that speak most against one, by the model."""
        return self._post("dissimilar", item=item, k=k, **options)

    def complement(self, items: Sequence[Any], k: int | None = None, **options: Any) -> Answer:
        """Find what goes with several items together, such as a cart.

        Options are ``exclude``, ``only``, ``filter``, ``boost``, ``diversity`` and ``explain``, as
        for `recommend`.
        """
        return self._post("complement", items=items, k=k, **options)

    def rank(
        self,
        history: History | None = None,
        candidates: Sequence[Any] | None = None,
        *,
        user: Any = None,
        **options: Any,
    ) -> Answer:
        """Rank given candidates for a history, or for a user by their events.

        The arguments come in the order of `shoal.rank`: ``client.rank(history, candidates)``, and
        for a user ``client.rank(user="u1", candidates=candidates)``. Without candidates the
        service refuses the request.
        """
        return self._post("rank", history=history, candidates=candidates, user=user, **options)

    def predict(
        self,
        user: Any = None,
        items: Sequence[Any] | None = None,
        *,
        history: Mapping[Any, float] | None = None,
        **options: Any,
    ) -> Answer:
        """Predict ratings of items, by a model that predicts ratings.

        Parameters
        ----------
        user : id
            A user of the training data; None if there is a `history`.
        items : sequence of ids
        history : mapping of ids to ratings, optional
            The ratings that a person has given, who need not be in the training data.
        """
        rows = None
        if history is not None:  # keys of a JSON object are texts, but ids may be numbers
            rows = [{"item": item, "rating": rating} for item, rating in history.items()]
        return self._post("predict", user=user, items=items, history=rows, **options)

    def explain(
        self, history: History | None = None, item: Any = None, *, user: Any = None, **options: Any
    ) -> Answer:
        """Explain what in a history, or in a user's events, speaks for an item and against it.

        The arguments come in the order of `shoal.explain`: ``client.explain(history, item)``, and
        for a user ``client.explain(user="u1", item=item)``. Without an item the service refuses
        the request.
        """
        return self._post("explain", history=history, item=item, user=user, **options)

    def batch(self, requests: Sequence[Mapping[str, Any]], **options: Any) -> Answer:
        """Answer several requests for recommendations in one go."""
        return self._post("batch", requests=requests, **options)

    # --- the catalogue -------------------------------------------------------------------------

    def items(
        self,
        search: str | None = None,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        model: str | None = None,
    ) -> Answer:
        """List items, or those whose title or id has the words; one page of them."""
        return self._get("/v1/items", search=search, limit=limit, cursor=cursor, model=model)

    def all_items(
        self, search: str | None = None, *, limit: int | None = None, model: str | None = None
    ) -> Iterator[Answer]:
        """Go through the rows of `items`, page by page."""
        cursor: str | None = None
        while True:
            page = self.items(search, limit=limit, cursor=cursor, model=model)
            yield from page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def item(self, item: Any, *, model: str | None = None) -> Answer:
        """Show one item."""
        return self._get(f"/v1/items/{segment(item)}", model=model)

    # --- events --------------------------------------------------------------------------------

    def events(
        self,
        events: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Report what users did: one event or many.

        Parameters
        ----------
        events : mapping or sequence of mappings
            With ``user``, ``item``, and perhaps ``type``, ``value``, ``time``, ``request_id``.
        idempotency_key : str or None
            By which the service knows a request that it has had already, and does not count it
            again. Made here, unless given, so that repetitions are safe.
        """
        rows = [events] if isinstance(events, Mapping) else list(events)
        return self._send_events({"events": rows}, idempotency_key)

    def impressions(
        self,
        request_id: str,
        items: Sequence[Any],
        *,
        user: Any = None,
        model: Mapping[str, str] | None = None,
        time: Any = None,
    ) -> Answer:
        """Report which items of an answer were shown, so that later events can be joined to it.

        Parameters
        ----------
        request_id, model
            As the answer has them.
        items : sequence of ids
            In the order in which they were shown.
        user : id, optional
        time : datetime or seconds since 1970, optional
        """
        row = given(request_id=request_id, items=items, user=user, model=model, time=time)
        return self._send_events({"impressions": [row]}, None)

    def track(
        self,
        answer: Mapping[str, Any] | str,
        *,
        user: Any = None,
        items: Sequence[Any] | None = None,
        clicked: Sequence[Any] = (),
        time: Any = None,
    ) -> Answer:
        """Report a list that was shown, and what was clicked in it so far.

        The list and each click are stored once, so this may be called again with more clicks.

        Parameters
        ----------
        answer : mapping or str
            The answer of `recommend` or `rank`, or one of `batch`, which says the model and the
            variant that made it; or its ``request_id``, which leaves these to the service.
        user : id, optional
            Clicks need one.
        items : sequence of ids, optional
            What was shown, in order; all items of the answer, unless given.
        clicked : sequence of ids
        time : datetime or seconds since 1970, optional
        """
        known: dict[str, Any] = {"request_id": answer}
        if isinstance(answer, Mapping):
            known = {name: answer[name] for name in ("request_id", "model") if name in answer}
            if items is None:
                items = [row["item"] for row in answer["items"]]
        body = given(**known, user=user, items=items, clicked=clicked or None, time=time)
        if isinstance(answer, Mapping) and "variant" in answer:
            body["variant"] = answer["variant"]  # also where it is None: outside of any experiment
        return self._connection.ask("POST", "/v1/track", body=body)

    def _send_events(self, body: Answer, key: str | None) -> Answer:
        headers = {"Idempotency-Key": key if key is not None else uuid.uuid4().hex}
        return self._connection.ask("POST", "/v1/events", body=body, headers=headers)

    def user(self, user: Any, *, limit: int | None = None) -> Answer:
        """Show a user's events."""
        return self._get(f"/v1/users/{segment(user)}", limit=limit)

    def delete_user(self, user: Any) -> Answer:
        """Delete a user's events for good; the next model is trained without them."""
        return self._connection.ask("DELETE", f"/v1/users/{segment(user)}")

    # --- experiments ---------------------------------------------------------------------------

    def online(self, *, since: Any = None, until: Any = None) -> Answer:
        """Report what the experiment of the service has shown so far."""
        window = {
            name: moment.isoformat() if hasattr(moment, "isoformat") else moment
            for name, moment in (("since", since), ("until", until))
        }
        return self._get("/v1/online", **window)

    def promote(self, variant: str) -> Answer:
        """Give everybody this variant of the experiment (admin's key)."""
        body = {"variant": variant}
        return self._connection.ask("POST", "/v1/online/promote", body=body, repeatable=False)

    def undo_promotion(self) -> Answer:
        """Let each user have the own variant again (admin's key)."""
        body = {"variant": None}
        return self._connection.ask("POST", "/v1/online/promote", body=body, repeatable=False)

    # --- versions ------------------------------------------------------------------------------

    def models(self) -> Answer:
        """List the versions of the model, and which is live."""
        return self._get("/v1/models")

    def activate(self, version: str) -> Answer:
        """Make a version live (admin's key)."""
        return self._post("models/activate", version=version)

    def rollback(self) -> Answer:
        """Make the version live that was live before (admin's key)."""
        return self._connection.ask("POST", "/v1/models/rollback", body={}, repeatable=False)

    def refresh(self) -> Answer:
        """Start making the next version from the log and the events (admin's key)."""
        return self._connection.ask("POST", "/v1/refresh", body={}, repeatable=False)

    def refresh_status(self) -> Answer:
        """Say whether a refresh runs, and how the last one ended (admin's key)."""
        return self._get("/v1/refresh")

    # --- how the service is --------------------------------------------------------------------

    def live(self) -> Answer:
        """Say that the process answers."""
        return self._get("/live")

    def ready(self) -> Answer:
        """Say whether the service can answer requests, and with which model; never repeated."""
        return self._connection.ask("GET", "/ready", allow=(503,))

    def metrics(self) -> str:
        """Fetch the numbers for Prometheus, as text."""
        return self._connection.response("GET", "/metrics", headers={"Accept": "text/plain"}).text

    # --- requests ------------------------------------------------------------------------------

    def _post(self, route: str, **fields: Any) -> Answer:
        history = fields.get("history")
        if isinstance(history, Mapping):  # keys of a JSON object are texts, but ids may be numbers
            fields["history"] = [{"item": item, "weight": w} for item, w in history.items()]
        return self._connection.ask("POST", f"/v1/{route}", body=given(**fields))

    def _get(self, path: str, **parameters: Any) -> Answer:
        return self._connection.ask("GET", path, params=given(**parameters))
