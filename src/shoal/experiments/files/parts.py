"""The parts of an experiment file, each checked to the last key."""

from __future__ import annotations

import contextlib
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from shoal import metrics
from shoal.data.read_settings import ReadSettings
from shoal.errors import DataError, ModelError
from shoal.policy.places import SHA256, wrong
from shoal.run import DEVICE, parse_bytes
from shoal.splitting.split import KINDS

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
NAME_FORM = "letters, digits and - _ . after the first, 64 characters at most"
PATHS = ("file", "train", "test", "items", "vectors")  # keys of a data set that name files
METRICS = ("ndcg@100", "recall@20", "recall@50", "ndcg@100:head", "ndcg@100:tail", "coverage@100")


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("give a number")
    return value


# YAML reads `true`, `yes` and `on` as a truth value, which pydantic would take as 1
Number = Annotated[float, BeforeValidator(_no_truth_value), Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_no_truth_value)]


def _size(value: Any) -> float | int:
    """A share below 1, or a whole number."""
    if isinstance(value, str):  # YAML reads 1e-1 as a text
        with contextlib.suppress(ValueError):
            value = float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < 1e18 or (isinstance(value, float) and value >= 1):
        raise ValueError("give a share from 0 to below 1, or a whole number")
    return value


Size = Annotated[
    float | int, PlainValidator(_size), WithJsonSchema({"type": "number", "minimum": 0})
]


def _as_text(value: Any) -> Any:
    """A name as text: YAML reads `1` as a number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


Text = Annotated[str, BeforeValidator(_as_text)]


def checked_name(name: str) -> str:
    """A name of an experiment, a data set or a model in tables, which also names folders."""
    if not re.fullmatch(NAME, name):
        raise ValueError(f"this is no name: write {NAME_FORM}")
    return name


def known_metric(name: str, *, of_users: bool = False) -> str:
    """The full name of a metric; `of_users`: one that has a value per user, more being better."""
    if name.strip().lower() in ("rmse", "mae"):
        raise ValueError(
            f"{name} measures predicted ratings, and experiments compare lists: see `shoal "
            "evaluate --model i-autorec`"
        )
    try:
        metric = metrics.parse(name)
    except DataError as error:
        raise ValueError(str(error)) from None
    if of_users and (metric.base not in metrics.ACCURACY or metric.group):
        known = ", ".join(metrics.ACCURACY)
        raise ValueError(f"models are chosen by one of {known}, such as ndcg@100")
    return str(metric)


class Part(BaseModel):
    """A mapping of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class DataPart(Part):
    """One data set: a public one, a log, or the two files of a given split."""

    name: Text = Field("", description="Its name in tables; default: the public name or the file's")
    public: str | None = Field(
        None, description="A set of `shoal data fetch`: ml-1m, gowalla, amazon2023:Video_Games, …"
    )
    file: str | None = Field(
        None, description="An interaction log, or a folder with one, relative to this file."
    )
    train: str | None = Field(None, description="The training file of a given split.")
    test: str | None = Field(None, description="The test file of a given split.")
    items: str | None = Field(None, description="A table of items: titles, genres, …")
    item_id: str | None = Field(None, description="The id column of `items`, if it is not found.")
    vectors: str | None = Field(None, description="Vectors of items, for models that read texts.")
    texts: bool | str = Field(
        False,
        description="Make vectors of the texts of `items` (TF-IDF): true for all columns of words, "
        "or a template such as '{title}. {genres}'.",
    )
    cold_items: bool = Field(
        False, description="Take items that have a vector and no interaction into the catalogue."
    )
    joined: bool = Field(
        False,
        description="Take the training and the test file of a given split together as one log, "
        "which is then split anew.",
    )
    read: ReadSettings = Field(ReadSettings(), description="How the log is read and prepared.")

    @field_validator("name")
    @classmethod
    def _name_is_one(cls, name: str) -> str:
        return checked_name(name) if name else name

    @field_validator("public")
    @classmethod
    def _public_is_known(cls, public: str | None) -> str | None:
        from shoal.datasets.fetch import get

        try:
            return None if public is None else get(public).name
        except DataError as error:
            raise ValueError(f"{str(error).rstrip('.')}: `shoal data list` names all") from None

    @model_validator(mode="after")
    def _one_source(self) -> DataPart:
        given = [name for name in ("public", "file", "train") if getattr(self, name) is not None]
        if (self.train is None) != (self.test is None):
            there, missing = ("train", "test") if self.test is None else ("test", "train")
            raise wrong(f"there is {there} and no {missing}: a given split has both", there)
        if len(given) > 1:
            raise wrong(f"{' and '.join(given)} both say where the data are: keep one", given[1])
        if not given:
            raise wrong("say where the data are: public, file, or train and test")
        if self.joined and self.file is not None:
            raise wrong("there is one file: leave it out", "joined")
        if self.texts and self.vectors is not None:
            raise wrong("texts and vectors both make the vectors of items: keep one", "texts")
        if self.texts and self.items is None and self.public is None:
            raise wrong("texts are those of an item table: name it with items", "texts")
        return self

    @property
    def is_split(self) -> bool:
        """Whether the set comes as a training and a test file, and is used so."""
        if self.joined:
            return False
        if self.public is None:
            return self.train is not None
        from shoal.datasets.fetch import get

        return {"train.txt", "test.txt"} <= {file.name for file in get(self.public).files}

    @property
    def label(self) -> str:
        """Its name in tables and folders."""
        if self.name:
            return self.name
        source = self.public or re.split(r"[/\\]", self.file or self.train or "")[-1]
        stem = source if self.public else source.split(".")[0]
        return re.sub(r"[^A-Za-z0-9._-]", "-", stem).strip("-._") or "data"


class SplitPart(Part):
    """What is held out."""

    kind: Literal["strong", "weak", "leave-last", "time", "cold-items"] = Field(
        "strong", description=f"What is held out: {', '.join(KINDS)} (docs/evaluation.md)."
    )
    test: Size | None = Field(
        None, description="Size of the test part: a share below 1, or a number of users."
    )
    validation: Size | None = Field(None, description="Size of the validation part; 0 for none.")
    last: Whole = Field(1, ge=1, description="For leave-last: so many items of each user.")
    protocol: Literal["mult-vae"] | None = Field(
        None, description="A published recipe, bit by bit (for kind strong)."
    )
    resplit: bool = Field(
        True, description="Whether every seed draws a split of its own; else the first seed's."
    )

    @model_validator(mode="after")
    def _goes_together(self) -> SplitPart:
        if self.protocol is not None and self.kind != "strong":
            raise wrong(f"{self.protocol} is a strong split: leave out kind", "protocol")
        if self.protocol is not None and self.validation is not None:
            raise wrong("the protocol takes as many users as for the test: leave it out",
                        "validation")  # fmt: skip
        if self.last != 1 and self.kind != "leave-last":
            raise wrong("means something for kind: leave-last alone: leave it out", "last")
        if self.kind == "leave-last" and self.test is not None:
            raise wrong("leave-last takes `last` items of each user: leave it out", "test")
        if self.test == 0:
            raise wrong("nothing is left to measure: give a share above 0, or a number", "test")
        shares = [size for size in (self.test, self.validation) if size is not None and size < 1]
        if sum(shares) >= 1:
            raise wrong(f"test and validation take {sum(shares):.4g} of the data: give smaller "
                        "shares, so that a part is left to train on", "test")  # fmt: skip
        return self

    def of_a_log(self) -> list[str]:
        """The keys that say something which the two files of a given split say themselves."""
        plain = SplitPart()
        names = ("kind", "test", "last", "protocol")
        return [name for name in names if getattr(self, name) != getattr(plain, name)]


class TuningPart(Part):
    """How every model that is tuned gets its values: on validation users alone."""

    trials: Whole | None = Field(None, ge=1, description="So many trials for each model, or …")
    minutes: Number | None = Field(
        None, gt=0, description="… so many minutes for each model; what comes first ends it."
    )
    metric: str = Field("ndcg@100", description="What trials are judged by.")
    sampler: Literal["tpe", "random"] = Field(
        "tpe", description="How values are drawn: tpe learns from earlier trials (Optuna)."
    )
    each_seed: bool = Field(
        False, description="Tune anew for every seed; else once, on the first seed's validation."
    )

    @field_validator("metric")
    @classmethod
    def _metric_is_of_users(cls, name: str) -> str:
        return known_metric(name, of_users=True)

    @model_validator(mode="after")
    def _has_a_budget(self) -> TuningPart:
        if self.trials is None and self.minutes is None:
            raise wrong("tuning has no budget: give trials, minutes, or both")
        return self


class EvaluationPart(Part):
    """What is measured."""

    metrics: tuple[str, ...] = Field(
        METRICS, min_length=1, description="Metrics with their k; the first one decides."
    )

    @field_validator("metrics")
    @classmethod
    def _metrics_are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        full: list[str] = []
        for number, name in enumerate(names):
            try:
                metric = known_metric(name, of_users=number == 0)
            except ValueError as error:
                raise wrong(f"{name!r:.60}: {error}", number) from None
            if metric in full:
                raise wrong(f"{metric} stands here for the second time: remove one", number)
            full.append(metric)
        return tuple(full)


class RunPart(Part):
    """How it is computed."""

    device: str = Field("cpu", pattern=DEVICE, description="cpu, cuda, cuda:0, mps or auto.")
    threads: Whole | None = Field(None, ge=1, description="Default: all.")
    memory: Text | None = Field(None, description="Such as 8GB; default: 80 % of what is free.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Numbers in matrix products of deep models."
    )

    @field_validator("memory")
    @classmethod
    def _memory_is_an_amount(cls, text: str | None) -> str | None:
        try:
            if text is not None:
                parse_bytes(text, "an amount")
        except ModelError as error:
            raise ValueError(str(error)) from None
        return text


class OutputPart(Part):
    """What is left behind."""

    models: Literal["best", "all", "none"] = Field(
        "best", description="Which fitted models are kept in the run folder."
    )
    report: bool = Field(True, description="Whether the report and its tables are written.")
    trackers: tuple[Literal["mlflow", "comet"], ...] = Field(
        (), description="Where the run is reported to as well: mlflow, comet."
    )


class Figure(Part):
    """A number that somebody expects of a model."""

    data: Text = Field("", description="Name of the data set; may be left out if there is one.")
    model: Text = Field(description="Name of the model in this file's tables.")
    metric: str = Field(description="Such as ndcg@100.")
    value: Number = Field(description="The figure.")

    @field_validator("metric")
    @classmethod
    def _metric_is_known(cls, name: str) -> str:
        return known_metric(name)


class Published(Figure):
    """A figure of a paper, printed beside ours."""

    source: str = Field("", description="Where it stands: Steck 2019, table 1.")
    note: str = Field("", description="Where the protocol of the paper differs from this file's.")


class Expected(Figure):
    """A figure that a run is held against."""

    tolerance: Number = Field(ge=0, description="By how much a run may differ from it.")


class Hashes(Part):
    """The hashes of one data set, as the run folder's data.json has them."""

    raw: str | dict[str, str] | None = Field(
        None, description="sha256 of the log, or of each file: {log: …, items: …}."
    )
    matrix: str | None = Field(None, pattern=SHA256, description="Of the prepared interactions.")
    held_out: str | None = Field(
        None, pattern=SHA256, description="Of the held-out pairs of the first seed."
    )

    @field_validator("raw")
    @classmethod
    def _raw_is_sha256(cls, raw: str | dict[str, str] | None) -> str | dict[str, str] | None:
        for value in raw.values() if isinstance(raw, dict) else [raw] if raw is not None else []:
            if not re.fullmatch(SHA256, value):
                raise ValueError("write sha256 as 64 digits and letters a to f")
        return raw


class ExpectPart(Part):
    """What `shoal reproduce` holds a run against."""

    hashes: dict[str, Hashes] = Field({}, description="By the name of the data set.")
    figures: tuple[Expected, ...] = Field((), description="Figures with tolerances.")
