"""What ``demo --serve`` serves: the invented catalogue with models, people and an experiment.

service/
  ratings.parquet, films.parquet   what the models learn from; none of the visitors' ratings
  store/                           three versions of the main model, each with its evaluation
  neighbours/                      a store with the second live model
  experiment.yaml                  variants that the visitors are answered by
  events.db                        what the visitors watched, were shown and clicked
  visitors.npz                     what the visitors like
  about.json                       how it was made

The folder is made whole or not at all, so that a start which was interrupted is begun anew.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import webbrowser
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.cli import demo_past, show
from shoal.cli.demo_traffic import Asking, traffic
from shoal.cli.terminal import is_terminal
from shoal.errors import ShoalError
from shoal.unfinished import folder_beside, remove_leftovers

if TYPE_CHECKING:
    import polars as pl

    from shoal.data.interactions import Interactions
    from shoal.datasets.demo import DemoWorld
    from shoal.datasets.demo_visitors import Visitors
    from shoal.run import Run
    from shoal.service.live import Served
    from shoal.service.settings import Settings

N_VISITORS = 300
SECOND = "neighbours"  # name of the second live model
VERSIONS: dict[str, dict[str, Any]] = {  # of the main model, the oldest first
    "edlae": {"l2": 50, "dropout": 0.2},
    "ease": {"l2": 100},
    "rdlae": {"l2": 50, "dropout": 0.2, "xi": 0.3},
}
NOTES = {
    "edlae": "the first version",
    "ease": "no dropout, for rarer films",
    "rdlae": "between the two: dropout, and a looser diagonal",
    "item-knn": "the usual neighbourhoods, to compare",
}
METRICS = ["ndcg@20", "recall@20", "ndcg@20:tail", "coverage@20"]
EXPERIMENT = f"""\
# Who is answered how: a share of the users for each variant, the same users every time.
name: demo
variants:
  control: {{share: 0.4}}
  {SECOND}: {{share: 0.3, model: {SECOND}}}
  recent: {{share: 0.3, filter: "year >= 2014"}}
"""


@dataclass(frozen=True)
class DemoFolder:
    """Where the parts of the demo's service are.

    Parameters
    ----------
    path : Path
    """

    path: Path

    @property
    def store(self) -> Path:
        """The versions of the main model."""
        return self.path / "store"

    @property
    def second(self) -> Path:
        """The store of the second live model."""
        return self.path / SECOND

    @property
    def events(self) -> Path:
        """The database of events."""
        return self.path / "events.db"

    @property
    def experiment(self) -> Path:
        """The file of the experiment."""
        return self.path / "experiment.yaml"

    @property
    def visitors(self) -> Path:
        """The file of the visitors."""
        return self.path / "visitors.npz"

    @property
    def about(self) -> Path:
        """How all of it was made."""
        return self.path / "about.json"

    def settings(self, port: int, *, quiet: bool) -> Settings:
        """Settings of the service; a quiet one writes no line for each request."""
        from shoal.service.settings import make_settings

        return make_settings(
            model=self.store,
            also={SECOND: self.second},
            events=str(self.events),
            experiment=self.experiment,
            port=port,
            log_level="warning" if quiet else "info",
        )


def prepare(to: Path, run: Run) -> DemoFolder:
    """Make what the demo serves, if it is not there.

    Parameters
    ----------
    to : Path
        The folder of the demo.
    run : Run

    Raises
    ------
    ShoalError
        The disk refuses, or what is there was made with another seed.
    """
    folder = DemoFolder(to / "service")
    if not folder.about.exists():
        _make_beside(folder, run)
    seed = _seed_of(folder)
    if run.seed not in (0, seed):
        raise ShoalError(
            f"{folder.path} was made with --seed {seed}: leave --seed out, or name another folder "
            "with --to"
        )
    return folder


def _seed_of(folder: DemoFolder) -> int:
    try:
        return int(json.loads(folder.about.read_text())["seed"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShoalError(
            f"{folder.path} is no folder that the demo made ({error}): remove it, or name another "
            "folder with --to"
        ) from None


def _make_beside(folder: DemoFolder, run: Run) -> None:
    """Make the folder under another name first, which becomes its name when all is there."""
    try:
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder.path)
        with folder_beside(folder.path) as unfinished:
            _make(DemoFolder(unfinished), run)
            try:
                unfinished.rename(folder.path)
            except OSError:
                if not folder.about.exists():  # otherwise another process was faster
                    raise
    except OSError as error:
        raise ShoalError(f"{folder.path} cannot be made ({error})") from error


def _make(folder: DemoFolder, run: Run) -> None:
    """Fill an empty folder."""
    from shoal.datasets.demo import demo_world
    from shoal.datasets.demo_visitors import invent_visitors

    world = demo_world(seed=run.seed)
    visitors = invent_visitors(world, N_VISITORS, seed=run.seed)
    visitors.save(folder.visitors)
    folder.experiment.write_text(EXPERIMENT)
    _make_models(folder, _write_log(folder, world, visitors.users), run)
    _invent_past(folder, visitors, world.interactions, run)
    from shoal._version import __version__

    folder.about.write_text(json.dumps({"seed": run.seed, "made_by": f"shoal {__version__}"}))


def _write_log(folder: DemoFolder, world: DemoWorld, visitors: list[str]) -> Interactions:
    """Write the ratings of all others than the visitors, and read them as a log.

    A model that had learned from the visitors would be judged too well by what they do.
    """
    from shoal.data.read import read
    from shoal.files import write_table

    others = world.interactions.filter(~world.interactions["user"].is_in(visitors))
    write_table(others, folder.path / "ratings.parquet")
    write_table(world.items, folder.path / "films.parquet")
    return read(others, min_value=4, min_user_items=5, items=world.items)


def _make_models(folder: DemoFolder, log: Interactions, run: Run) -> None:
    """Evaluate the models on users that were kept away, then fit each to the whole log."""
    from shoal.artifact import Store
    from shoal.artifact.training import TRAINING, training_facts
    from shoal.experiments.comparison.compare import compare
    from shoal.models.registry import create
    from shoal.splitting.split import split

    names = (*VERSIONS, "item-knn")
    with run.progress.step("evaluating and fitting models", 2 * len(names)) as step:
        comparison = compare(
            split(log, "strong", seed=run.seed),
            names,
            metrics=METRICS,
            settings=VERSIONS,
            run=run,
            seen=lambda entry: step.advance(),
        )
        results = {entry.label: entry.evaluation.to_dict() for entry in comparison.entries}
        for name in names:
            began = time.perf_counter()
            model = create(name, VERSIONS.get(name, {})).fit(log, None, run)
            training = {TRAINING: training_facts(log, time.perf_counter() - began)}
            store = Store(folder.store if name in VERSIONS else folder.second, create=True)
            store.publish(model, note=NOTES[name], metrics=results[name] | training)
            step.advance()


def _invent_past(folder: DemoFolder, visitors: Visitors, log: pl.DataFrame, run: Run) -> None:
    """Store what the visitors watched, were shown and clicked until now."""
    from shoal.events import EventStore
    from shoal.online import read_experiment

    experiment = read_experiment(folder.experiment)
    models = {"main": _served(folder.store), SECOND: _served(folder.second)}
    now = time.time()
    began = now - demo_past.DAYS * 86_400
    watched = demo_past.histories(visitors, log, began, seed=run.seed)
    planned = demo_past.visits(visitors, now, run.seed)
    with (
        run.progress.step("inventing what visitors were shown and clicked", len(planned)) as step,
        EventStore(folder.events, timeout=60.0) as store,
    ):
        store.append(watched)
        lists, clicks = demo_past.past(
            visitors, watched, planned, experiment, models, now, seed=run.seed, advance=step.advance
        )
        store.append(clicks, lists=lists)


def _served(path: Path) -> Served:
    """A model as the service holds it, under the names that its answers give."""
    from shoal.service.live import LiveModel
    from shoal.service.logs import set_level

    set_level("warning")
    live = LiveModel(path)
    live.look()
    if live.served is None:
        raise ShoalError(f"{path}: {live.trouble.reason if live.trouble else 'there is no model'}")
    return live.served


def serve(
    to: Path, port: int, run: Run, *, with_traffic: bool, open_page: bool, as_json: bool
) -> None:
    """Make what is missing, and serve it until a signal ends it.

    Parameters
    ----------
    to : Path
        The folder of the demo.
    port : int
    run : Run
    with_traffic : bool
        Whether the visitors ask the service while it runs.
    open_page : bool
        Whether a browser is to show the page, if there is one.
    as_json : bool
        Whether what is said is for a program.
    """
    from shoal.cli.serve import run_service, say_what_is_served
    from shoal.service.security import keys_of
    from shoal.service.server import listen

    settings = DemoFolder(to / "service").settings(port, quiet=with_traffic)
    if port:
        listen(settings.host, port).close()  # a port in use is told before the work, not after it
    folder = prepare(to, run)
    with ExitStack() as until_the_end:

        def say(url: str) -> None:
            if as_json:
                say_what_is_served(settings, url, bool(keys_of(settings)), as_json=True)
            else:
                _say_what_to_look_at(url, folder, with_traffic=with_traffic)
            if with_traffic:
                until_the_end.enter_context(traffic(url, folder.visitors))
            if open_page:
                _open_when_ready(url)

        run_service(settings, as_json=as_json, say=say)


def _say_what_to_look_at(url: str, folder: DemoFolder, *, with_traffic: bool) -> None:
    """Print the address of the page, what there is to see, and how to stop."""
    from shoal.datasets.demo_visitors import Visitors

    person = f"/person/{Visitors.load(folder.visitors).users[1]}"
    show.line(f"The page: {url}/", "bold")
    for path, what in (
        (f"/?models=main,{SECOND}", "Try: pick films; what do two models make of them?"),
        ("/steer", "Steer: turn a list towards some kind of film"),
        (person, f"People: one of {N_VISITORS} invented visitors"),
        ("/models", "Models: three versions in a store, one of them live"),
        ("/now?minutes=10", "Now: requests, their times, what fell short"),
        ("/online", f"Experiments: three variants, {demo_past.DAYS} days of clicks"),
        ("/docs", "API"),
    ):
        show.line(f"  {path:<25} {what}")
    if with_traffic:
        show.line(
            "The visitors come while this runs, so the numbers move (--no-traffic: they stay)."
        )
    show.line(f"Stop with Ctrl-C. The next start takes seconds: all is kept in {folder.path}.")


def _open_when_ready(url: str) -> None:
    """Have a browser show the page as soon as there is a model, if a person would see it."""
    if not is_terminal(sys.stdout):
        return

    def wait_and_open() -> None:
        Asking(url).wait_until_ready(60.0)
        with suppress(webbrowser.Error):
            webbrowser.open(f"{url}/")

    threading.Thread(target=wait_and_open, name="open-page", daemon=True).start()
