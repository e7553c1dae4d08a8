"""Columns of a table of lists that tell of the items and of the model."""

from __future__ import annotations

import polars as pl

from shoal.base.recommender import Recommender


def with_titles(table: pl.DataFrame, model: Recommender) -> pl.DataFrame:
    """The table with a column of titles, if the items of the model have any."""
    titles = [name for name in ("title", "name") if name in model.item_table.columns][:1]
    if titles:
        known = model.item_table.select("item", pl.col(titles[0]).alias("title"))
        table = table.join(known, on="item", how="left", maintain_order="left")
    return table


def with_origin(table: pl.DataFrame, model: str, version: str, made: str) -> pl.DataFrame:
    """The table with the model and when it was made: the same bytes whenever it is asked."""
    return table.with_columns(
        pl.lit(model).alias("model"),
        pl.lit(version).alias("model_version"),
        pl.lit(made).alias("model_created"),
    )
