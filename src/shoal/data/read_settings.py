"""How a log is read, as files of YAML say it: the keywords of `shoal.read`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ReadSettings(BaseModel):
    """The keywords of `shoal.read` that a file may give; others are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    columns: dict[str, str] = Field(
        {}, description="Which column is what: user, item, value, time, event → name of a column."
    )
    min_value: float | None = Field(None, description="Keep rows with at least this value.")
    values: Literal["binary", "keep", "log1p"] = Field(
        "binary", description="Whether a row counts 1, its value, or log(1 + value)."
    )
    duplicates: Literal["last", "first", "sum"] = Field(
        "last", description="What to keep of several rows of the same user and item."
    )
    missing: Literal["error", "drop"] = Field(
        "error", description="What to do with rows that lack a user, an item, a value or a time."
    )
    where: str | None = Field(
        None, description="A condition on the columns, such as event = 'purchase'."
    )
    weights: dict[str, float] | None = Field(
        None, description="The value of a row by its event: {view: 1, purchase: 5}."
    )
    since: float | str | None = Field(None, description="From this time or date on.")
    until: float | str | None = Field(None, description="Before this time or date.")
    time_format: str | None = Field(None, description="How times are written: %d/%m/%Y %H:%M.")
    min_item_users: int = Field(0, ge=0, description="Keep items with so many users (one pass).")
    min_user_items: int = Field(0, ge=0, description="Keep users with so many items (one pass).")
    k_core: int = Field(0, ge=0, description="Both, repeated until all users and items have it.")
    format: Literal["auto", "rows", "basket"] = Field(
        "auto", description="What a line of a text file is: an interaction, or a user with items."
    )
    header: bool | None = Field(None, description="Whether the first line names the columns.")
    quotes: Literal["auto", "csv", "none"] = Field(
        "auto", description="Whether quotes enclose values, or are letters."
    )
    separator: str | None = Field(None, description="What separates values: ',', ';', tab, blank.")
