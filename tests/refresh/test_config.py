"""Configurations: the example is one, and what is wrong with others is said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shoal.errors import DataError
from shoal.refresh import EXAMPLE, next_run, read_config


def test_the_example_is_a_configuration_and_names_every_key(tmp_path: Path) -> None:
    path = tmp_path / "refresh.yaml"
    path.write_text(EXAMPLE)
    config = read_config(path)
    assert config.store == str(tmp_path / "store")
    assert config.log is not None
    assert config.log.path == str(tmp_path / "data" / "log.parquet")
    assert config.unfitted().name == "ease"
    # the lines that are commented out are keys as well
    everything = EXAMPLE
    for line in ("items: ", "events:", "  url:", "  weights:", "schedule:", "threads:", "memory:"):
        everything = everything.replace(f"# {line}", line)
    path.write_text(everything)
    config = read_config(path)
    assert config.events is not None
    assert config.events.url == str(tmp_path / "events.sqlite")
    assert config.events.weights == {"view": 1, "purchase": 5, "dislike": 0}
    assert (config.schedule, config.memory, config.threads) == ("03:00", "8GB", 1)


def test_addresses_take_variables_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("store: s\nevents: {url: $EVENTS_OF_TEST}\n")
    with pytest.raises(DataError, match="variable of the environment that is not set"):
        read_config(path)
    monkeypatch.setenv("EVENTS_OF_TEST", "postgresql://me:secret@db/shop")
    config = read_config(path)
    assert config.events is not None
    assert config.events.url == "postgresql://me:secret@db/shop"


GOOD = "store: s\nlog: {path: x.csv}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no keys and values"),
        ("store: [", "this is no YAML"),
        ("store: s", "nothing to learn from: name a log, events, or both"),
        ("log: {path: x.csv}", "store is missing: add it"),
        (
            GOOD + "modle: ease",
            r"there is no key modle .*did you mean model\? `shoal refresh --example`",
        ),
        (GOOD + "evaluation: {metrik: x}", r"no key evaluation.metrik .*did you mean metric\?"),
        ("store: s\nlog: {path: x, read: {min_valu: 4}}", r"no key log.read.min_valu .*min_value"),
        ("store: s\nlog: {path: x, read: {values: stars}}", "log.read.values: 'stars'"),
        (GOOD + "evaluation: {metric: ndcg}", "evaluation.metric: 'ndcg': no metric 'ndcg'"),
        (GOOD + "evaluation: {metric: coverage@10}", "models are compared by one of recall"),
        (GOOD + "evaluation: {margin: 2}", "evaluation.margin: 2: input should be less than 1"),
        (GOOD + "model: eese", "no model is called 'eese'.*Did you mean ease"),
        (GOOD + "model: i-autorec", "i-autorec predicts ratings"),
        (GOOD + "settings: {l3: 1}", "no hyper-parameter 'l3'"),
        (GOOD + "policy: p.yaml\nmodel: ease", "policy says the model: leave out model"),
        (GOOD + "policy: p.yaml", r"p\.yaml cannot be read"),
        (GOOD + "schedule: noon", "schedule: 'noon': write an interval such as"),
        (GOOD + "schedule: 5s", "write an interval"),
        (GOOD + "memory: lots", "memory: 'lots': memory 'lots': write a size such as 8GB"),
        (GOOD + "keep: 0", "keep: 0: input should be greater than or equal to 1"),
        (GOOD + "threads: many", "threads: 'many'"),
        (GOOD + "events: {url: e.db, weights: {view: -1}}", "weight of view must be 0 or more"),
        (GOOD + "events: {url: e.db, weights: {view: 0}}", "one type of event a weight above 0"),
    ],
)
def test_what_is_wrong_is_said_with_the_key_and_the_way_out(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_config(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_config(tmp_path / "none.yaml")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "last", "now", "due"),
    [
        ("24h", None, "2026-03-01 10:00", "2026-03-01 10:00"),
        ("24h", "2026-03-01 10:00", "2026-03-01 10:05", "2026-03-02 10:00"),
        ("30m", "2026-03-01 10:00", "2026-03-01 11:00", "2026-03-01 11:00"),
        ("7d", "2026-03-01 10:00", "2026-03-01 10:00", "2026-03-08 10:00"),
        ("03:00", None, "2026-03-01 02:59", "2026-03-01 03:00"),
        ("03:00", None, "2026-03-01 03:00", "2026-03-02 03:00"),
        ("03:00", "2026-03-01 03:00", "2026-03-01 03:20", "2026-03-02 03:00"),
        ("23:30", "2026-02-28 23:30", "2026-03-01 00:10", "2026-03-01 23:30"),
    ],
)
def test_a_schedule_says_when_the_next_one_is_due(
    schedule: str, last: str | None, now: str, due: str
) -> None:
    assert next_run(schedule, None if last is None else at(last), at(now)) == at(due)
