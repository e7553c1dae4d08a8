"""Models that are made of other models: one folder, in which each part has arrays of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Self

from shoal.base.costs import Costs, sum_of_work
from shoal.base.declared import Spec, within
from shoal.base.recommender import Recommender, Validation
from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.errors import ModelError
from shoal.kernels.arrays import State
from shoal.run import Run


class Composed(Recommender):
    """Base class of models whose fitted arrays are those of their parts.

    The arrays of a part stand in the state with its name and a dot before theirs.
    """

    @abstractmethod
    def _parts(self) -> dict[str, Recommender]:
        """The parts by name."""

    @abstractmethod
    def with_parts(self, changed: Callable[[Recommender], Recommender]) -> dict[str, str]:
        """The hyper-parameters that name the parts, if each part is changed so."""

    def _changed(self, changed: Callable[[Recommender], Recommender]) -> Self:
        """The same model, unfitted, with each part changed so."""
        return type(self)(**(self.model_dump(exclude_unset=True) | self.with_parts(changed)))

    def part_setting(self, dotted: str) -> Any:
        """The hyper-parameter of a part, such as ``retriever.factors``."""
        part, _, name = dotted.partition(".")
        return getattr(self._parts()[part], name)

    def _check_part(self, part: Recommender) -> None:
        """Refuse a model that rates or reads positions in time, as parts share one history."""
        if part.task != "ranking" or part.ordered:
            raise ModelError(f"{self.name}: {part.name} cannot be a member")

    def _fit(self, interactions: Interactions, run: Run) -> None:
        self._fit_validated(interactions, None, run)

    @abstractmethod
    def _fit_validated(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        """Fit the parts, and what joins them."""

    def _fit_parts(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        """Fit each part on its own; its facts are kept with its name before theirs."""
        for name, part in self._parts().items():
            folder = None if run.checkpoint is None else run.checkpoint / name
            # the metric of one part says too little of the whole to end its training
            own = replace(run, checkpoint=folder, after_epoch=None)
            part.fit(interactions, validation, own)
            self._facts |= {f"{name}.{fact}": value for fact, value in part.facts.items()}

    def check_can_fit(self, interactions: Interactions, run: Run) -> None:
        """Raise the errors of this model and, before any part is fitted, those of all parts."""
        super().check_can_fit(interactions, run)
        for part in self._parts().values():
            part.check_can_fit(interactions, run)

    def state(self) -> State:
        """The arrays of all parts, named ``<part>.<array>``."""
        return {
            f"{name}.{array}": values
            for name, part in self._parts().items()
            for array, values in part.state().items()
        }

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """What the parts declare, with the name of the part before their names."""
        spec: Spec = ()
        for part_name, part in self._parts().items():
            prefix = f"{part_name}."
            own = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
            spec += within(prefix, part.state_spec(own, n_items))
        return spec

    def restore(self, state: State) -> None:
        """Restore the arrays of each part, from what `state` returned."""
        for part_name, part in self._parts().items():
            prefix = f"{part_name}."
            part.restore(
                {n.removeprefix(prefix): a for n, a in state.items() if n.startswith(prefix)}
            )

    def take_catalogue(self, interactions: Interactions) -> None:
        """Take over the catalogue of the training data, also in the parts."""
        super().take_catalogue(interactions)
        for part in self._parts().values():
            part.take_catalogue(interactions)

    def restore_catalogue(self, *args: Any, **values: Any) -> None:
        """Restore what a model folder keeps beside the arrays, also in the parts."""
        super().restore_catalogue(*args, **values)
        for part in self._parts().values():
            if not part.fitted:
                part.restore_catalogue(*args, **values)

    def trained_parts(self) -> tuple[Costs, ...]:
        """The parts that are trained epoch by epoch."""
        return tuple(each for part in self._parts().values() for each in part.trained_parts())

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """The sum over the parts."""
        return sum_of_work(*(part.work_to_fit(size, n_pairs) for part in self._parts().values()))

    def bytes_of_model(self, size: Size) -> int:
        """The sum over the parts."""
        return sum(part.bytes_of_model(size) for part in self._parts().values())
