"""The tables of the newest version, as queries see them; `migrations` makes them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, Table, Text

_tables = MetaData()

versions = Table(
    "shoal_schema_version",
    _tables,
    Column("version", Integer, primary_key=True),
    Column("time", Double, nullable=False),
)

events = Table(
    "shoal_events",
    _tables,
    Column("id", BigInteger, primary_key=True),  # in the order in which they were stored
    Column("user_id", Text, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("value", Double),
    Column("time", Double, nullable=False),  # seconds since 1970
    Column("received", Double, nullable=False),  # by the clock of the process that stored it
    Column("request_id", Text),
    Column("event_key", Text),  # the caller's own id, unique
)

# calls with an idempotency key
calls = Table(
    "shoal_calls",
    _tables,
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("time", Double, nullable=False),
)

# lists that were shown; what was shown is a JSON array of item ids, the best first
lists = Table(
    "shoal_lists",
    _tables,
    Column("id", BigInteger, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("user_id", Text),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("shown", Text, nullable=False),
    Column("experiment", Text),  # of which the request was part, with its variant
    Column("variant", Text),
)

# what was decided of experiments, in the order in which it was: the last row of one counts
promotions = Table(
    "shoal_promotions",
    _tables,
    Column("id", BigInteger, primary_key=True),
    Column("experiment", Text, nullable=False),
    Column("variant", Text),  # that everybody gets from then on; none once that is undone
    Column("time", Double, nullable=False),
)

deleted_users = Table(
    "shoal_deleted_users",
    _tables,
    Column("user_hash", Text, primary_key=True),  # sha256 of the id
    Column("time", Double, nullable=False),
)
