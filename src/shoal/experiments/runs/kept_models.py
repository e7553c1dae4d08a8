"""The fitted models of a run: which are kept in its folder, and what a report shows of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from shoal.artifact import load, save
from shoal.base.recommender import Recommender
from shoal.errors import ArtifactError, ShoalError
from shoal.experiments.comparison.cell import Cell
from shoal.experiments.comparison.conclude import best_by_kind
from shoal.experiments.files.data import Loaded
from shoal.experiments.runs.folder import EXTRAS, MODELS, RunFolder, safe_name
from shoal.experiments.runs.order import Order
from shoal.run import Run
from shoal.splitting.held_out import Split

BASELINE = "baseline"


class KeptModels:
    """The models of one data set, in ``models/DATA/LABEL``: those of the first seed.

    While a run goes on, the best model of each kind with the first seed is kept. In the end the
    best linear and the best deep model over all seeds are, as the leaderboard has them, and a
    baseline where it is the best of all; a model that was not kept is fitted again.

    Parameters
    ----------
    folder : RunFolder
    data : str
        Name of the data set.
    order : Order
    finished : iterable of Cell
        Those that were finished before.
    """

    def __init__(
        self, folder: RunFolder, data: str, order: Order, finished: Iterable[Cell] = ()
    ) -> None:
        self._folder, self._data, self._order = folder, data, order
        self._place = f"{MODELS}/{safe_name(data)}"
        self._cells = list(finished)

    @property
    def wanted(self) -> str:
        """``all``, ``best`` or ``none``."""
        return self._order.experiment.output.models

    def path(self, label: str) -> Path:
        """The folder of a model."""
        return self._folder.path / self._place / safe_name(label)

    def forget(self, label: str) -> None:
        """Leave out a model that could not be fitted with every seed."""
        self._cells = [cell for cell in self._cells if cell.label != label]

    def may_keep(self, seed: int) -> bool:
        """Whether a model that is fitted with this seed may be kept."""
        return seed == self._order.seeds[0] and not self._wants_none

    def offer(self, cell: Cell, model: Callable[[], Recommender | None]) -> None:
        """Note a cell that is finished now, and keep its model if it is to be kept.

        `model` gives it, where `may_keep` is true.
        """
        self._cells.append(cell)
        if not self.may_keep(cell.seed):
            return
        if self.wanted == "all":
            self._keep(cell.label, model)
            return
        own = [c for c in self._cells if c.seed == cell.seed and c.kind == cell.kind]
        if max(own, key=self._score).label == cell.label and self._keep(cell.label, model):
            others = {c.label for c in self._cells if c.kind != cell.kind}
            self._remove_all_but(others | {cell.label})

    def _keep(self, label: str, make: Callable[[], Recommender | None]) -> bool:
        """Save a model; where it cannot be made or saved, this is told, and costs no result."""
        try:
            model = make()
            assert model is not None
            save(model, self.path(label))
        except ShoalError as error:
            warnings.warn(f"the model {label} is not kept: {error}", stacklevel=2)
            return False
        return True

    def choose(self, fit: Callable[[str], Recommender]) -> None:
        """Keep the best models over all seeds, and fit those that are not there.

        Parameters
        ----------
        fit : callable
            Fits the model of a label with the first seed.
        """
        if self._wants_none:
            return
        first = [c.label for c in self._cells if c.seed == self._order.seeds[0]]
        labels = first if self.wanted == "all" else self._best
        for label in labels:
            if not self.path(label).is_dir():
                self._keep(label, partial(fit, label))
        self._remove_all_but(set(labels))

    def make_extras(self, split: Callable[[], Split], loaded: Loaded, run: Run) -> None:
        """Make what the report shows of the best models, unless that was done before.

        A failure is a warning: it costs a part of the report, and no result.
        """
        name = f"{EXTRAS}/{safe_name(self._data)}.json"
        if self._order.experiment.output.report and not self._are_made(name):
            from shoal.experiments.report.extras import make_extras

            try:
                paths = {label: self.path(label) for label in self._best}
                models = {label: load(path) for label, path in paths.items() if path.is_dir()}
                if models:
                    parts = split()
                    made = make_extras(
                        *(models, parts, loaded.log, run, self._order.seeds[0]),
                        metric=self._order.metrics[0],
                    )
                    self._folder.write_json(name, made | {"models": list(models)})
            except Exception as error:
                why = f"{type(error).__name__}: {error}"
                warnings.warn(f"the report lacks a part ({why})", stacklevel=2)
        if self.wanted == "none":
            self._folder.remove(self._place)

    @property
    def _wants_none(self) -> bool:
        """Whether neither the folder nor the report needs a model."""
        return self.wanted == "none" and not self._order.experiment.output.report

    @property
    def _best(self) -> list[str]:
        """The best linear and the best deep model over all seeds, the best of all first."""
        best = best_by_kind(self._cells)
        return [
            label
            for place, (kind, label) in enumerate(best.items())
            if kind != BASELINE or not place
        ]

    def _are_made(self, name: str) -> bool:
        """Whether the report's parts were made of the models that are the best now."""
        try:
            return bool(self._folder.read_json_if_there(name).get("models") == self._best)
        except ArtifactError:  # it is made again
            return False

    def _score(self, cell: Cell) -> float:
        """The deciding metric; the lowest of all where it counts nobody."""
        mean = next(iter(cell.evaluation.scores.values())).mean
        return float("-inf") if math.isnan(mean) else mean

    def _remove_all_but(self, labels: set[str]) -> None:
        place = self._folder.path / self._place
        keep = {safe_name(label) for label in labels}
        for path in list(place.iterdir()) if place.is_dir() else []:
            if path.name not in keep:
                self._folder.remove(f"{self._place}/{path.name}")
