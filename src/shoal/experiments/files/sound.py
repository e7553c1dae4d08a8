"""What is left of an experiment file without the parts that are wrong, to be checked further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shoal.policy.yaml_files import Place

# what stands in for a part that is wrong, so that nothing is said of its absence
_IN_PLACE: dict[str, Any] = {
    "name": "experiment",
    "data": [{"public": "ml-1m"}],
    "models": ["popularity"],
    "tuning": {"trials": 1},
}
_LISTS = ("data", "models")
_NAMING = ("published", "expect")  # parts that name data sets, models and metrics of other parts
_NAMED = (*_LISTS, "evaluation")


@dataclass(frozen=True)
class Sound:
    """The parts of an experiment file that are right.

    Parameters
    ----------
    content : dict
        A whole file: what is needed and wrong is replaced.
    numbers : mapping
        For lists that are shorter than in the file, where their parts stand in the file.
    replaced : tuple of str
        Keys of which nothing is right.
    """

    content: dict[str, Any]
    numbers: Mapping[str, Sequence[int]]
    replaced: tuple[str, ...]

    def place_in_file(self, place: Place) -> Place | None:
        """Where a value of `content` stands in the file; None if it stands in for another."""
        key = place[0]
        if key in self.replaced:
            return None
        if key in self.numbers and len(place) > 1:
            return (key, self.numbers[str(key)][int(place[1])], *place[2:])
        return place


def sound_parts(content: Mapping[str, Any], wrong: Sequence[Place]) -> Sound:
    """Leave out of a file what is wrong, and what names something that may be left out.

    Parameters
    ----------
    content : mapping
        What the file holds.
    wrong : sequence of tuple
        Places of all that is wrong.
    """
    bad = {str(place[0]) for place in wrong if place}
    kept: dict[str, list[int]] = {}
    for key in _LISTS:
        numbers = {place[1] for place in wrong if place[:1] == (key,) and len(place) > 1}
        parts = content.get(key)
        is_whole = any(place == (key,) for place in wrong)
        if key in bad and isinstance(parts, list) and not is_whole:
            kept[key] = [number for number in range(len(parts)) if number not in numbers]
    kept = {key: numbers for key, numbers in kept.items() if numbers}
    sound = {key: value for key, value in content.items() if str(key) not in bad}
    sound |= {key: [content[key][n] for n in numbers] for key, numbers in kept.items()}
    if bad & set(_NAMED):
        sound = {key: value for key, value in sound.items() if key not in _NAMING}
    replaced = tuple(bad - set(kept))
    return Sound({**{k: _IN_PLACE[k] for k in replaced if k in _IN_PLACE}, **sound}, kept, replaced)
