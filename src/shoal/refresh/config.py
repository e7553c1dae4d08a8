"""The configuration of a refresh: a YAML file, checked to the last key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from shoal import metrics
from shoal.base.recommender import Recommender
from shoal.data.counted import Event
from shoal.data.read_settings import ReadSettings
from shoal.errors import DataError, ModelError, ShoalError
from shoal.models.registry import create
from shoal.policy import only_policy, policy_of, read_yaml_with_lines
from shoal.policy.places import file_error, problems_of
from shoal.refresh.schedule import parse_schedule
from shoal.run import parse_bytes

_HINT = "`shoal refresh --example` prints a file to begin with"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class LogPart(_Part):
    """The interaction log, and what is known of its items."""

    path: str = Field(description="The log, or a pattern such as data/log-*.parquet.")
    read: ReadSettings = Field(ReadSettings(), description="How it is read and prepared.")
    items: str | None = Field(None, description="A table of items: titles, genres, …")
    item_id: str | None = Field(None, description="The id column of items, if it is not found.")
    vectors: str | None = Field(None, description="Vectors of items, for models that read texts.")
    cold_items: bool = Field(
        False, description="Take items that have a vector and no interaction into the catalogue."
    )


class EventsPart(_Part):
    """The events that the service has stored since."""

    url: str = Field(description="A SQLite file or postgresql://…; $NAME: the environment.")
    weights: dict[str, float] | None = Field(
        None, description="Which types of events count, and how much: {view: 1, purchase: 5}."
    )
    duplicates: Literal["last", "sum"] = Field(
        "last", description="What counts of several events of the same user and item."
    )

    @field_validator("weights")
    @classmethod
    def _weights_count(cls, weights: dict[str, float] | None) -> dict[str, float] | None:
        for name, weight in (weights or {}).items():
            if not 0 <= weight < 1e9:
                raise ValueError(f"the weight of {name} must be 0 or more")
        if weights is not None and not any(weights.values()):
            raise ValueError("give one type of event a weight above 0 at least")
        return weights


class EvaluationPart(_Part):
    """What old and new model are compared on."""

    compare: bool = Field(True, description="false: publish without comparing.")
    metric: str = Field("ndcg@100", description="What models are compared by.")
    share: float = Field(0.1, gt=0, lt=1, description="Hold out this latest share of the log, or …")
    days: float | None = Field(None, gt=0, description="… what happened in the last so many days.")
    margin: float = Field(
        0.02, ge=0, lt=1, description="Publish if at most so much worse than the live model."
    )
    least_users: int = Field(50, ge=1, description="Compare on no fewer users.")
    least_share: float = Field(
        0.5, ge=0, le=1, description="Refuse a log that has shrunk below this share of what it was."
    )

    @field_validator("metric")
    @classmethod
    def _metric_is_of_users(cls, name: str) -> str:
        metric = metrics.parse(name)
        if metric.base not in metrics.ACCURACY or metric.group:
            known = ", ".join(metrics.ACCURACY)
            raise ValueError(f"models are compared by one of {known}, such as ndcg@100")
        return str(metric)


class Config(_Part):
    """All of a configuration; paths are as they are to be opened."""

    store: str = Field(description="Where versions are published; made if it is not there.")
    log: LogPart | None = Field(None, description="What users did until now.")
    events: EventsPart | None = Field(None, description="What the service has stored since.")
    model: str = Field("ease", description="What is trained: `shoal info` lists the models.")
    settings: dict[str, Any] = Field({}, description="Hyper-parameters of the model.")
    policy: str | None = Field(None, description="A policy file, in place of model and settings.")
    evaluation: EvaluationPart = Field(
        EvaluationPart(), description="What the old and the new model are compared on."
    )
    keep: int = Field(5, ge=1, description="How many versions stay in the store.")
    schedule: str | None = Field(
        None, description="A time of day such as 03:00, or an interval such as 24h."
    )
    seed: int = Field(0, ge=0, description="Seed of all that is random.")
    threads: int | None = Field(None, ge=1, description="For training; default: all.")
    memory: str | None = Field(
        None, description="For training, such as 8GB; default: 80 % of what is free."
    )
    nice: int = Field(
        10, ge=0, le=19, description="How much training gives way to other processes."
    )

    @field_validator("schedule")
    @classmethod
    def _schedule_is_one(cls, text: str | None) -> str | None:
        if text is not None:
            parse_schedule(text)
        return text

    @field_validator("memory")
    @classmethod
    def _memory_is_an_amount(cls, text: str | None) -> str | None:
        if text is not None:
            parse_bytes(text, "memory")
        return text

    @model_validator(mode="after")
    def _goes_together(self) -> Config:
        if self.log is None and self.events is None:
            raise ValueError("there is nothing to learn from: name a log, events, or both")
        named = {"model", "settings"} & self.model_fields_set
        if self.policy is not None and named:
            raise ValueError(f"policy says the model: leave out {' and '.join(sorted(named))}")
        return self

    @property
    def counted_events(self) -> tuple[Event, ...]:
        """The events that a policy file says count; empty where all do."""
        return () if self.policy is None else only_policy(self.policy).events

    def unfitted(self) -> Recommender:
        """The model that is to be trained.

        Raises
        ------
        ModelError
            There is no such model, hyper-parameter or policy file, or the model predicts ratings.
        """
        name, settings = self.model, self.settings
        if self.policy is not None:
            name, settings = policy_of(self.policy)
        model = create(name, settings)
        if model.task != "ranking":
            raise ModelError(
                f"{model.name} predicts ratings, and refresh compares lists: train it with "
                "`shoal train --publish`"
            )
        return model


def read_config(path: str | Path) -> Config:
    """Read a configuration.

    Relative paths in it are relative to the folder of the file; ``$NAME`` in the address of a
    database is a variable of the environment, so that a password need not stand there.

    Raises
    ------
    DataError
        There is no such file, it is no YAML, or a key or value is none; the message names the
        file, the key and the way out.
    """
    path = Path(path)
    try:
        content, lines = read_yaml_with_lines(path, _HINT)
    except ModelError as error:
        raise DataError(str(error)) from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no keys and values: {_HINT}")
    try:
        config = Config.model_validate(content)
    except ValidationError as error:
        raise file_error(path, problems_of(error, content, Config), lines, _HINT) from None
    config = _with_places(config, path.parent)
    try:
        config.unfitted()
    except ShoalError as error:
        raise DataError(f"{path}: {error}") from None
    return config


def _with_places(config: Config, folder: Path) -> Config:
    """The configuration with paths that are right whatever the working folder is."""

    def placed(value: str | None) -> str | None:
        return None if value is None else str(folder.resolve() / Path(value).expanduser())

    log, events = config.log, config.events
    if log is not None:
        files = {name: placed(getattr(log, name)) for name in ("path", "items", "vectors")}
        log = log.model_copy(update=files)
    if events is not None:
        url = os.path.expandvars(events.url)
        if "$" in url:
            raise DataError(
                f"events.url names a variable of the environment that is not set: {events.url}"
            )
        events = events.model_copy(update={"url": url if "://" in url else placed(url)})
    update = {
        "store": placed(config.store), "policy": placed(config.policy), "log": log,
        "events": events,
    }  # fmt: skip
    return config.model_copy(update=update)
