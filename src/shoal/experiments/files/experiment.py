"""`Experiment`: the content of an experiment file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, field_validator

from shoal.data.counted import Event
from shoal.errors import ModelError
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.files.entries import ModelPart, enter
from shoal.experiments.files.missing import missing_files
from shoal.experiments.files.parts import (
    DataPart,
    EvaluationPart,
    ExpectPart,
    Figure,
    OutputPart,
    Part,
    Published,
    RunPart,
    SplitPart,
    Text,
    TuningPart,
    checked_name,
)
from shoal.policy.places import Problem, listed, wrong
from shoal.policy.yaml_files import Place

MOST_SEEDS = 1000
# files of a run are called by these names, and some disks know no difference
_BUT_FOR_CASE = " (large and small letters are the same here)"


class Experiment(Part):
    """Which models are compared, on which data, and how: all of an experiment file."""

    name: Text = Field(description="Name of the experiment; run folders are called by it.")
    description: str = Field("", description="What it is for.")
    data: tuple[DataPart, ...] = Field(min_length=1, description="One data set, or a list.")
    split: SplitPart = Field(SplitPart(), description="What is held out.")
    seeds: tuple[int, ...] = Field((0,), description="How many seeds, or a list of them.")
    models: tuple[ModelPart, ...] = Field(
        min_length=1, description="What is compared: names of models, or mappings."
    )
    tuning: TuningPart | None = Field(
        None, description="Budget of the search for each model; without it nothing is tuned."
    )
    evaluation: EvaluationPart = Field(EvaluationPart(), description="What is measured.")
    run: RunPart = Field(RunPart(), description="How it is computed.")
    output: OutputPart = Field(OutputPart(), description="What is left behind.")
    published: tuple[Published, ...] = Field((), description="Figures of papers, to print beside.")
    expect: ExpectPart = Field(
        ExpectPart(), description="What `shoal reproduce` holds a run against."
    )

    _folder: Path = PrivateAttr(Path())
    _entrants: tuple[Entrant, ...] | None = PrivateAttr(None)
    _notes: tuple[str, ...] = PrivateAttr(())
    _events: tuple[Event, ...] = PrivateAttr(())

    @field_validator("name")
    @classmethod
    def _name_is_one(cls, name: str) -> str:
        return checked_name(name)

    @field_validator("data", mode="before")
    @classmethod
    def _one_set_is_a_list(cls, data: Any) -> Any:
        return [data] if isinstance(data, dict) else data

    @field_validator("models", mode="before")
    @classmethod
    def _name_is_a_model(cls, models: Any) -> Any:
        if not isinstance(models, list | tuple):
            return models
        return [{"model": entry} if isinstance(entry, str) else entry for entry in models]

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds_are_a_list(cls, seeds: Any) -> Any:
        is_list = isinstance(seeds, list | tuple)
        listed = list(seeds) if is_list else [seeds]
        for number, seed in enumerate(listed):
            where = (number,) if is_list else ()
            if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
                raise wrong(f"{seed!r:.40}: give a number of seeds, or a list such as [0, 1]",
                            *where)  # fmt: skip
            if seed in listed[:number]:
                raise wrong(f"the seed {seed} stands here for the second time: remove one", *where)
        n_seeds = len(listed) if is_list else seeds
        if not 1 <= n_seeds <= MOST_SEEDS:
            raise wrong(f"{n_seeds} seeds: give 1 to {MOST_SEEDS}")
        return listed if is_list else list(range(seeds))

    def _of_names(self) -> Iterator[Problem]:
        """Names of data sets that stand twice, or that there are not, and metrics likewise."""
        labels = [part.label for part in self.data]
        for number, label in enumerate(labels):
            if label.lower() in [other.lower() for other in labels[:number]]:
                place: Place = ("data", number, *(("name",) if self.data[number].name else ()))
                told = f"two data sets are called {label}{_BUT_FOR_CASE}: give one another name"
                yield Problem(place, told)
        for name in self.expect.hashes:
            if name not in labels:
                yield Problem(("expect", "hashes", name), _no_data(name, labels))
        for place, figure in self._figures():
            if figure.data and figure.data not in labels:
                yield Problem((*place, "data"), _no_data(figure.data, labels))
            if not figure.data and len(labels) > 1:
                yield Problem(place, f"say of which data set: data: {' | '.join(labels)}")
            if figure.metric not in self.evaluation.metrics:
                told = f"{figure.metric} is not measured here: add it to evaluation.metrics"
                yield Problem((*place, "metric"), told)
        given = self.split.of_a_log()
        if given and all(part.is_split for part in self.data):
            told = "the training and the test file say what is held out: leave it out"
            yield Problem(("split", given[0]), told)

    def _figures(self) -> Iterator[tuple[Place, Figure]]:
        """All figures of the file with their places."""
        for number, published in enumerate(self.published):
            yield ("published", number), published
        for number, expected in enumerate(self.expect.figures):
            yield ("expect", "figures", number), expected

    # -- what needs the folder of the file ---------------------------------------------------

    @property
    def folder(self) -> Path:
        """The folder of the file, which paths are relative to."""
        return self._folder

    def within(self, folder: Path) -> Experiment:
        """The same experiment, with paths relative to a folder."""
        moved = self.model_copy()
        moved._folder, moved._entrants = folder, None
        return moved

    @property
    def entrants(self) -> tuple[Entrant, ...]:
        """The models, in the order of the file.

        Raises
        ------
        ModelError
            What `check` tells of the models.
        """
        if self._entrants is None and (problems := self._enter()):
            raise ModelError("; ".join(problem.message for problem in problems))
        return self._entrants or ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the models: keys of policies that do nothing."""
        return self._notes if self.entrants else ()

    @property
    def events(self) -> tuple[Event, ...]:
        """The events whose rows count, as the policy files say; empty where all do."""
        return self._events if self.entrants else ()

    def _enter(self) -> list[Problem]:
        """Make the models; gives what is wrong with them. No two may have one name."""
        entrants: dict[str, Entrant] = {}
        problems: list[Problem] = []
        notes: list[str] = []
        counted: dict[tuple[Event, ...], Place] = {}
        for number, part in enumerate(self.models):
            place: Place = ("models", number)
            entered = enter(part, place, self._folder, tuned=self.tuning is not None)
            problems += entered.problems
            notes += entered.notes
            for entrant in entered.entrants:
                if entrant.label.lower() in entrants:
                    told = f"two models are called {entrant.label}{_BUT_FOR_CASE}: "
                    if part.policy is None:
                        told += "give one another name: {name: …, model: …}"
                    else:
                        told += "name this entry, {name: …, policy: …}: of several models, it "
                        told += "stands before their own names"
                    where = (*place, "name") if part.name else place
                    problems.append(Problem(where, told))
                entrants.setdefault(entrant.label.lower(), entrant)
            for events in entered.events:
                counted.setdefault(events, place)
        if len(counted) > 1:
            place = next(place for events, place in counted.items() if events)
            told = (
                "event_values of the policy says which rows count, and they are the same for all "
            )
            told += "models here: leave it out, or give all models the same"
            problems.append(Problem(place, told))
        if not problems:
            self._entrants, self._notes = tuple(entrants.values()), tuple(notes)
            self._events = next(iter(counted), ())
        return problems

    def check(self, elsewhere: Mapping[str, Path] | None = None) -> list[Problem]:
        """What is wrong with names and models, and which files are not there.

        Parameters
        ----------
        elsewhere : dict of str to Path, optional
            Data sets, by name, that are somewhere else than the file says.
        """
        of_models = self._enter()
        problems = [*self._of_names(), *of_models]
        if not of_models:
            entrants = self.entrants
            problems += self._without_vectors(entrants)
            problems += self._without_validation(entrants)
            labels = [entrant.label for entrant in entrants]
            for number, figure in enumerate(self.expect.figures):
                if figure.model not in labels:
                    told = f"no model is called {figure.model} here{listed(figure.model, labels)}"
                    problems.append(Problem(("expect", "figures", number, "model"), told))
        return problems + missing_files(self.data, self._folder, elsewhere or {})

    def _without_vectors(self, entrants: tuple[Entrant, ...]) -> list[Problem]:
        """A problem if models read vectors of items, and no data set has any."""
        readers = [entrant.label for entrant in entrants if entrant.kind.reads_vectors]
        if not readers or any(part.vectors or part.texts for part in self.data):
            return []
        told = f"no data set has vectors of items, which {', '.join(readers)} reads: add texts: "
        told += "true (of the item table) or vectors: FILE (as `shoal embed` writes it)"
        return [Problem(("data", 0), told)]

    def _without_validation(self, entrants: tuple[Entrant, ...]) -> list[Problem]:
        """A problem if models are tuned, and nobody is held out to judge their trials."""
        if self.split.validation != 0 or not any(map(self.searches, entrants)):
            return []
        told = "models are tuned on validation users alone: leave it out, or give a share above 0"
        return [Problem(("split", "validation"), told)]

    def searches(self, entrant: Entrant) -> bool:
        """Whether an entrant is tuned in this experiment: it has ranges, and there is a budget."""
        return self.tuning is not None and entrant.tune and entrant.searchable


def _no_data(name: str, labels: list[str]) -> str:
    return f"no data set is called {name} here{listed(name, labels)}"
