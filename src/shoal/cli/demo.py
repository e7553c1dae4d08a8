"""``demo``: the main job on an invented catalogue, told so that a person enjoys it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show, suggest
from shoal.cli.app import app
from shoal.cli.options import OF_TRAINING, RunOptions, takes
from shoal.cli.outputs import OutputOptions
from shoal.cli.unused import refuse

if TYPE_CHECKING:
    import polars as pl

    from shoal.base.recommender import Recommender
    from shoal.data.interactions import Interactions
    from shoal.experiments.comparison.compare import Comparison
    from shoal.inference.recommendations import Recommendations
    from shoal.run import Run

PORT = 8000
MODELS = ("popularity", "item-knn", "lae", "ease", "edlae", "rdlae")
SETTINGS: dict[str, dict[str, Any]] = {
    "lae": {"l2": 500},
    "ease": {"l2": 100},
    "edlae": {"l2": 50, "dropout": 0.2},
    "rdlae": {"l2": 50, "dropout": 0.2, "xi": 0.3},
}


@dataclass(frozen=True)
class _Catalogue:
    """The invented catalogue: the raw ratings, the titles, and the log that models read."""

    ratings: pl.DataFrame
    films: pl.DataFrame
    log: Interactions


@app.command()
@takes(RunOptions, OutputOptions, hide=OF_TRAINING)
def demo(
    to: Annotated[Path, typer.Option(help="Folder for the demo's log and model.")] = Path(
        "shoal-demo"
    ),
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Serve a page with models, people and traffic to look at."),
    ] = False,
    port: Annotated[int, typer.Option(help="With --serve; 0 takes a free one.")] = PORT,
    traffic: Annotated[
        bool,
        typer.Option(
            "--traffic/--no-traffic",
            help="With --serve: whether the invented people ask the service while it runs.",
        ),
    ] = True,
    open_page: Annotated[
        bool, typer.Option("--open", help="With --serve: show the page in a browser.")
    ] = False,
    *,
    running: RunOptions,
    writing: OutputOptions,
) -> None:
    """See it all on an invented catalogue of films: offline, within a minute."""
    if serve:
        _serve(to, port, running, with_traffic=traffic, open_page=open_page)
        return
    given = {"--port": port != PORT, "--no-traffic": not traffic, "--open": open_page}
    refuse([name for name, is_given in given.items() if is_given], "without --serve: add --serve")
    from shoal.inference.recommend import recommend
    from shoal.inference.similar import similar

    for name in ("ratings.parquet", "films.parquet"):
        writing.check(to / name)
    writing.check_folder(to / "model")
    run = running.run()
    began = perf_counter()
    catalogue = _write_catalogue(to, run)
    log = catalogue.log
    compiling = _compile(log, run)
    comparison, model = _compare_and_save_best(log, to / "model", run)
    answers = {user: recommend(model, log, 5, user=user, because=2) for user in _three_users(log)}
    most_seen = log.items.take([int(log.item_counts.argmax())])[0]
    neighbours = similar(model, most_seen, 5)
    seconds = perf_counter() - began

    if running.json_output:
        show.as_json(
            {
                "comparison": comparison.to_dict(),
                "recommendations": {u: show.recommendation_dict(a) for u, a in answers.items()},
                "folder": str(to),
                "seconds": round(seconds, 2),
                "compile_seconds": round(compiling, 2),
            }
        )
        return
    _print_comparison(log, comparison)
    for user, answer in answers.items():
        _print_user(user, catalogue, answer)
    show.line()
    title = _title(catalogue.films, most_seen)
    show.line(f"Who liked {title} (the most seen film) is led to", "bold")
    show.recommendation_lines(neighbours)
    show.line()
    took = f"All this took {seconds:.1f} s"
    if compiling > 1:
        took += f", {compiling:.1f} s of them to compile, which is done once"
    show.line(f"{took}. Next:", "bold")
    _print_next_commands(to, log, most_seen)


def _serve(
    to: Path, port: int, running: RunOptions, *, with_traffic: bool, open_page: bool
) -> None:
    """Serve the catalogue with models and people, which are made where there are none."""
    from shoal.cli.serve import check_extra

    check_extra()
    from shoal.cli import demo_service

    demo_service.serve(
        to,
        port,
        running.run(),
        with_traffic=with_traffic,
        open_page=open_page,
        as_json=running.json_output,
    )


def _write_catalogue(folder: Path, run: Run) -> _Catalogue:
    """Invent ratings of films and write them as two tables."""
    from shoal.data.read import read
    from shoal.datasets.demo import demo_frames
    from shoal.files import write_table

    ratings, films = demo_frames(seed=run.seed)
    folder.mkdir(parents=True, exist_ok=True)
    write_table(ratings, folder / "ratings.parquet")
    write_table(films, folder / "films.parquet")
    return _Catalogue(ratings, films, read(ratings, min_value=4, min_user_items=5, items=films))


def _compile(log: Interactions, run: Run) -> float:
    """Compile the kernels of all models before their times are taken; gives the seconds."""
    from shoal.experiments.warmup import warm_up
    from shoal.models.registry import create

    seconds = 0.0
    with run.progress.step("compiling, the first time", len(MODELS)) as step:
        for name in MODELS:
            step.note(name)
            seconds += warm_up(create(name, SETTINGS.get(name)), log, run)
            step.advance()
    return seconds


def _compare_and_save_best(
    log: Interactions, folder: Path, run: Run
) -> tuple[Comparison, Recommender]:
    """Compare models on a split, fit the best one to the whole log and save it."""
    from shoal.artifact import save
    from shoal.experiments.comparison.compare import compare
    from shoal.models.registry import create
    from shoal.splitting.split import split

    comparison = compare(
        split(log, "strong", seed=run.seed),
        MODELS,
        metrics=["ndcg@20", "recall@20", "ndcg@20:tail", "coverage@20"],
        settings=SETTINGS,
        run=run,
    )
    best = comparison.entries[0].evaluation
    model = create(best.model, best.parameters).fit(log, None, run)
    save(model, folder, metrics=best.to_dict())
    return comparison, model


def _three_users(log: Interactions) -> list[Any]:
    """Three users whose lists are long enough to read something from, and unlike each other."""
    from numpy import diff, flatnonzero

    lengths = diff(log.indptr)
    chosen: dict[int, set[int]] = {}  # the items of each user's history
    for code in flatnonzero((lengths >= 12) & (lengths <= 25)).tolist():
        items = set(log.indices[log.indptr[code] : log.indptr[code + 1]].tolist())
        if all(len(items & others) <= 1 for others in chosen.values()):
            chosen[code] = items
        if len(chosen) == 3:
            break
    return log.users.take(list(chosen))


def _title(films: pl.DataFrame, item: Any) -> str:
    """A film's title by its id."""
    return str(films.filter(films["item"] == item)["title"][0])


def _print_comparison(log: Interactions, comparison: Comparison) -> None:
    show.line("An invented catalogue of films", "bold")
    show.log_lines(log)
    show.line()
    show.line("Who ranks best? 10 % of the users were kept away from every model;", "bold")
    show.line("it sees four fifths of their films and has to find the rest.", "bold")
    show.comparison_table(comparison)


def _print_user(user: Any, catalogue: _Catalogue, answer: Recommendations) -> None:
    """Print what a user loved, and what is recommended."""
    ratings = catalogue.ratings
    rated = ratings.filter(ratings["user"] == user).sort("rating", "timestamp", descending=True)
    loved = rated.head(4).join(catalogue.films, on="item", maintain_order="left")
    show.line()
    show.line(f"{user} loved {', '.join(loved['title'].to_list())} ({len(rated)} rated)", "bold")
    show.recommendation_lines(answer)


def _print_next_commands(folder: Path, log: Interactions, item: Any) -> None:
    history = suggest.id_list(log.items.take(log.indices[:2]))
    model, ratings = suggest.file(folder / "model"), suggest.file(folder / "ratings.parquet")
    for command in (
        suggest.command("recommend", model, "--history", history, "--because"),
        suggest.command("similar", model, *suggest.argument(item)),
        suggest.command("compare", ratings, "--min-value", 4, "--models", "fast", "--tune", 10),
        suggest.command("train", "YOUR_LOG.csv", "--model", "ease", "--out", "models/mine"),
    ):
        show.line(f"  {command}")
    from shoal.cli.serve import missing_packages

    needs = "  (needs pip install 'shoal[serve]'; in a checkout: make serve-demo)"
    show.line(f"  {suggest.command('demo', '--serve')}{needs if missing_packages() else ''}")
