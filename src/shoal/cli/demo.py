"""``shoal demo``: the main job on an invented catalogue, told so that a person enjoys it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl

from shoal.artifact import save
from shoal.cli import show
from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.datasets.demo import demo_frames
from shoal.experiments.compare import compare
from shoal.experiments.warmup import warm_up
from shoal.files import write_table
from shoal.inference.recommend import recommend
from shoal.inference.recommendations import Recommendations
from shoal.inference.similar import similar
from shoal.models.registry import create
from shoal.run import Run
from shoal.splitting.split import split

MODELS = ("popularity", "item-knn", "lae", "ease", "edlae", "rdlae")
SETTINGS: dict[str, dict[str, Any]] = {
    "lae": {"l2": 500},
    "ease": {"l2": 100},
    "edlae": {"l2": 50, "dropout": 0.2},
    "rdlae": {"l2": 50, "dropout": 0.2, "xi": 0.3},
}


def show_demo(folder: Path, run: Run, as_json: bool) -> None:
    """Generate the catalogue, compare models, recommend with reasons, save, say what to do next.

    Parameters
    ----------
    folder : Path
        Gets ``ratings.parquet``, ``films.parquet`` and the model folder ``model``.
    run : Run
    as_json : bool
    """
    began = time.perf_counter()
    ratings, films = demo_frames(seed=run.seed)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(ratings, folder / "ratings.parquet")
    write_table(films, folder / "films.parquet")
    log = read(ratings, min_value=4, min_user_items=5, items=films)
    compiling = _compile(log, run)
    found = compare(
        split(log, "strong", seed=run.seed),
        MODELS,
        metrics=["ndcg@20", "recall@20", "ndcg@20:tail", "coverage@20"],
        settings=SETTINGS,
        run=run,
    )
    best = found.entries[0].evaluation
    model = create(best.model, best.parameters).fit(log, None, run)
    save(model, folder / "model", metrics=best.to_dict())
    people = [(user, recommend(model, log, 5, user=user, because=2)) for user in _three(log)]
    popular = log.items.take([int(log.item_counts.argmax())])[0]
    near = similar(model, popular, 5)
    seconds = time.perf_counter() - began
    if as_json:
        show.as_json(
            {
                "comparison": found.to_dict(),
                "recommendations": {u: show.recommendation_dict(r) for u, r in people},
                "folder": str(folder),
                "seconds": round(seconds, 2),
                "compile_seconds": round(compiling, 2),
            }
        )
        return
    show.line("An invented catalogue of films", "bold")
    show.log_lines(log)
    show.line()
    show.line("Who ranks best? 10 % of the users were kept away from every model;", "bold")
    show.line("it sees four fifths of their films and has to find the rest.", "bold")
    show.comparison_table(found)
    for user, answer in people:
        _person(user, ratings, films, answer)
    title = show_title(films, popular)
    show.line()
    show.line(f"Who liked {title} (the most seen film) is led to", "bold")
    show.recommendation_lines(near)
    show.line()
    took = f"All this took {seconds:.1f} s"
    if compiling > 1:
        took += f", {compiling:.1f} s of them to compile, which is done once"
    show.line(f"{took}. Next:", "bold")
    mine = ",".join(str(i) for i in log.items.take(log.indices[:2]))
    for command in (
        f"shoal recommend {folder}/model --history {mine} --because",
        f"shoal similar {folder}/model {popular}",
        f"shoal compare {folder}/ratings.parquet --min-value 4 --models fast --tune 10",
        "shoal train YOUR_LOG.csv --model ease --out models/mine",
    ):
        show.line(f"  {command}")


def _compile(log: Interactions, run: Run) -> float:
    """Warm up for all models, and give the seconds that it took."""
    seconds = 0.0
    with run.progress.step("compiling, the first time", len(MODELS)) as step:
        for name in MODELS:
            step.note(name)
            seconds += warm_up(create(name, SETTINGS.get(name)), log, run)
            step.advance()
    return seconds


def _three(log: Interactions) -> list[Any]:
    """Three users whose lists are long enough to read something from, and unlike each other."""
    from numpy import diff, flatnonzero

    candidates = flatnonzero((diff(log.indptr) >= 12) & (diff(log.indptr) <= 25))
    chosen: list[int] = []
    for code in candidates:
        items = set(log.indices[log.indptr[code] : log.indptr[code + 1]].tolist())
        others = (set(log.indices[log.indptr[c] : log.indptr[c + 1]].tolist()) for c in chosen)
        if all(len(items & other) <= 1 for other in others):
            chosen.append(int(code))
        if len(chosen) == 3:
            break
    return log.users.take(chosen)


def show_title(films: pl.DataFrame, item: Any) -> str:
    """A film's title by its id."""
    return str(films.filter(pl.col("item") == item)["title"][0])


def _person(user: Any, ratings: pl.DataFrame, films: pl.DataFrame, answer: Recommendations) -> None:
    seen = ratings.filter(pl.col("user") == user).sort("rating", "timestamp", descending=True)
    titles = seen.head(4).join(films, on="item", maintain_order="left")["title"].to_list()
    show.line()
    show.line(f"{user} loved {', '.join(titles)} ({len(seen)} rated)", "bold")
    show.recommendation_lines(answer)
