"""What a store of events is asked: histories, tables of events, what lists led to, experiments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from shoal.errors import EventsUnavailable
from shoal.events import reading, storing
from shoal.events.checks import LONGEST_NAME, checked_bound, checked_limit, checked_text
from shoal.events.database import Database
from shoal.events.event import Clicks, Event, ExperimentList, Promotion, StoreFacts
from shoal.events.experiment_lists import experiment_counts, experiment_lists, promotions_of
from shoal.events.reading import Duplicates
from shoal.events.schema import events as event_table

if TYPE_CHECKING:
    import polars as pl


class Questions(ABC):
    """The methods of `EventStore` that change nothing."""

    place: str
    weights: dict[str, float] | None
    duplicates: Duplicates

    @abstractmethod
    def _opened(self) -> Database:
        """The database, with its tables."""

    def history(self, user: Any, *, limit: int = 1000) -> dict[str, float]:
        """A user's latest items and what each weighs, the oldest first.

        An item weighs what `weights` says of its latest event, or 1 without weights. Events of
        types without a weight do not count, and an event of weight 0 takes its item out of the
        history until a later event puts it in again.

        Parameters
        ----------
        user : id
        limit : int
            How many items at most; of a user with many repeated events, the latest 10 · `limit`
            events are looked at.
        """
        name, limit = checked_text(user, "user"), checked_limit(limit)
        with self._opened().read() as connection:
            return reading.history(connection, name, limit, self.weights, self.duplicates)

    def values(self, user: Any, *, limit: int = 1000) -> dict[str, float]:
        """The latest value of each of a user's latest items, such as ratings, the oldest first."""
        name, limit = checked_text(user, "user"), checked_limit(limit)
        with self._opened().read() as connection:
            return reading.values_of_user(connection, name, limit)

    def user(self, user: Any, *, limit: int = 1000) -> list[Event]:
        """The latest events of a user, the newest first."""
        name, limit = checked_text(user, "user"), checked_limit(limit)
        with self._opened().read() as connection:
            return reading.events_of_user(connection, name, limit)

    def recent_users(self, *, n_events: int = 1000) -> list[tuple[str, int, float]]:
        """Who did something lately: users, the number of their events, and the time of the latest.

        Only so many events are looked at, those that were stored last, however many there are.
        """
        n_events = checked_limit(n_events)
        with self._opened().read() as connection:
            return reading.recent_users(connection, n_events)

    def deletion_times(self, users: Iterable[Any]) -> dict[str, float]:
        """When users were deleted, in seconds since 1970, by their ids as text."""
        names = {checked_text(user, "user") for user in users}
        with self._opened().read() as connection:
            return storing.deletion_times(connection, names)

    def is_deleted(self, users: Iterable[Any]) -> list[bool]:
        """Whether each user was deleted at some time."""
        names = [checked_text(user, "user") for user in users]
        times = self.deletion_times(names)
        return [name in times for name in names]

    def frame(self, *, since: Any = None, until: Any = None) -> pl.DataFrame:
        """All events with since ≤ time < until as a table that `shoal.read` reads.

        Returns
        -------
        DataFrame
            Columns user, item, event (text), value (1 where none was given), time (seconds since
            1970), in the order in which they were stored.
        """
        import polars as pl

        parts = pl.concat(list(self.pages(since=since, until=until)))
        return parts.select("user", "item", "event", "value", "time")

    def pages(self, *, since: Any = None, until: Any = None) -> Iterator[pl.DataFrame]:
        """The rows of `frame` a page at a time, with two columns more: request_id and id.

        The first page may be empty.
        """
        window = (checked_bound(since, "since"), checked_bound(until, "until"))
        yield reading.frame_of(())
        for rows in reading.pages(self._opened(), *window):
            yield reading.frame_of(rows)

    def clicks(
        self, *, since: Any = None, until: Any = None, model: str | None = None
    ) -> list[Clicks]:
        """What users did with the lists that were shown, by model, version and type of event.

        Parameters
        ----------
        since, until : float, datetime or ISO date, optional
            Lists that were shown with since ≤ time < until.
        model : str, optional
            Lists of this model alone.
        """
        window = (checked_bound(since, "since"), checked_bound(until, "until"))
        with self._opened().read() as connection:
            return reading.clicks(connection, *window, model)

    def count(self) -> int:
        """How many events there are."""
        with self._opened().read() as connection:
            query = select(func.count()).select_from(event_table)
            return int(connection.execute(query).scalar() or 0)

    def facts(self) -> StoreFacts:
        """What the database holds."""
        with self._opened().read() as connection:
            return reading.facts(connection, self.place)

    def ping(self) -> bool:
        """Whether the database answers."""
        try:
            with self._opened().read() as connection:
                return connection.execute(select(1)).scalar() == 1
        except EventsUnavailable:
            return False

    def promotion(self, experiment: str) -> str | None:
        """The variant that everybody gets, since the experiment was decided; None if it was not."""
        decided = self.promotions(experiment)
        return decided[-1].variant if decided else None

    def promotions(self, experiment: str) -> list[Promotion]:
        """What was decided of an experiment, the oldest first."""
        name = checked_text(experiment, "experiment", LONGEST_NAME)
        with self._opened().read() as connection:
            return promotions_of(connection, name)

    def experiments(self) -> list[str]:
        """Names of the experiments of which lists are stored."""
        return list(self.experiment_counts())

    def experiment_counts(self) -> dict[str, int]:
        """How many lists are stored of each experiment, by its name."""
        with self._opened().read() as connection:
            return experiment_counts(connection)

    def experiment_lists(
        self, experiment: str, success: str = "click", *, since: Any = None, until: Any = None
    ) -> Iterator[ExperimentList]:
        """The lists of an experiment, one user's after another, with what was clicked in them.

        They are read a page at a time, each by a query of its own, so that neither the number of
        lists nor that of users matters for the memory. Lists without a user come first. What is
        stored after the first page is left out.

        Parameters
        ----------
        experiment : str
        success : str
            Type of the events that count as a click.
        since, until : float, datetime or ISO date, optional
            Lists that were shown with since ≤ time < until; clicks in them count whenever they
            came.
        """
        name = checked_text(experiment, "experiment", LONGEST_NAME)
        kind = checked_text(success, "success")
        window = (checked_bound(since, "since"), checked_bound(until, "until"))
        return experiment_lists(self._opened(), name, kind, *window)
