"""An experiment online: a YAML file that says which users are answered in which way."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from shoal.errors import DataError, ModelError
from shoal.online.assignment import place_of, variant_at
from shoal.policy import read_yaml_with_lines
from shoal.policy.places import file_error, listed, problems_of, repeated
from shoal.steering.levels import LIMIT

_HINT = (
    "An experiment is `name: autumn` and `variants:`, such as `control: {share: 0.5}` and "
    "`diverse: {share: 0.5, diversity: 0.3}`"
)
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LONGEST_NAME = 64
_MOST_VARIANTS = 20


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("give a number")
    return value


# YAML reads `true`, `yes` and `on` as a truth value, which pydantic would take as 1
_Number = Annotated[float, BeforeValidator(_no_truth_value)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Variant(_Part):
    """How the users of one variant are answered.

    Parameters
    ----------
    share : float
        Share of the users, above 0.
    diversity, filter, boost, steer : optional
        Settings of `shoal.recommend` that hold for these users unless a request names its own.
    model : str, optional
        Name of another live model, which answers in place of the main one.
    version : str, optional
        Name of a version of the main model's store, which answers in place of the current one.
    """

    share: _Number = Field(gt=0, le=1, allow_inf_nan=False)
    diversity: _Number | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    filter: str | None = Field(None, min_length=1)
    boost: str | dict[str, float] | None = None
    steer: dict[str, _Number] | None = None
    model: str | None = Field(None, min_length=1)
    version: str | None = Field(None, min_length=1)

    @field_validator("boost", mode="before")
    @classmethod
    def _factors_are_numbers(cls, boost: Any) -> Any:
        if isinstance(boost, dict):
            for condition, factor in boost.items():
                if isinstance(factor, bool):
                    raise ValueError(f"the factor of {condition!r} must be a number")
        return boost

    @field_validator("boost")
    @classmethod
    def _factors_are_positive(
        cls, boost: str | dict[str, float] | None
    ) -> str | dict[str, float] | None:
        if isinstance(boost, dict):
            for condition, factor in boost.items():
                if not 0 < factor < math.inf:
                    raise ValueError(f"the factor of {condition!r} must be above 0")
        return boost

    @field_validator("steer")
    @classmethod
    def _levels_are_in_range(cls, steer: dict[str, float] | None) -> dict[str, float] | None:
        for knob, level in (steer or {}).items():
            if not abs(level) <= LIMIT:  # also refuses NaN
                raise ValueError(f"the level of {knob!r} must be from {-LIMIT:g} to {LIMIT:g}")
        return steer

    @model_validator(mode="after")
    def _one_model_answers(self) -> Variant:
        if self.model is not None and self.version is not None:
            raise ValueError("model and version both say who answers: leave out one of them")
        return self

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of `shoal.recommend` that this variant has, by their names."""
        names = ("diversity", "filter", "boost", "steer")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


class Guards(_Part):
    """How far a variant may go from the control: ratios of its numbers to those of the control.

    Parameters
    ----------
    coverage : float, optional
        The least ratio of the numbers of distinct items that are shown; None for no such guard.
    popularity : float, optional
        The greatest ratio of the mean numbers of training users of the items that are shown; None
        for no such guard.
    """

    coverage: _Number | None = Field(0.8, gt=0, allow_inf_nan=False)
    popularity: _Number | None = Field(1.25, gt=0, allow_inf_nan=False)


class Experiment(_Part):
    """Variants of a recommender, each with a share of the users.

    Parameters
    ----------
    name : str
        Lower-case letters, digits and hyphens. Users are assigned by a hash of it and of their
        id, so an experiment with new shares needs a new name.
    variants : dict of str to Variant
        The shares sum to 1.
    control : str
        The variant that the others are compared with; by default the first.
    success : str
        Type of the events that count as a click.
    guards : Guards

    Examples
    --------
    >>> halves = {"old": Variant(share=0.5), "new": Variant(share=0.5, diversity=0.3)}
    >>> experiment = Experiment(name="autumn", variants=halves)
    >>> experiment.control
    'old'
    >>> experiment.variant_of("ann") == experiment.variant_of("ann")
    True
    """

    name: str
    variants: dict[str, Variant]
    control: str = ""
    success: str = Field("click", min_length=1, max_length=64)
    guards: Guards = Guards()

    @field_validator("name")
    @classmethod
    def _name_is_one(cls, name: str) -> str:
        return _checked_name(name)

    @field_validator("success")
    @classmethod
    def _success_is_a_type(cls, success: str) -> str:
        from shoal.events.checks import checked_type

        return checked_type(success, None, "the type")

    @field_validator("variants")
    @classmethod
    def _variants_share_all_users(cls, variants: dict[str, Variant]) -> dict[str, Variant]:
        if not variants:
            raise ValueError("name at least one variant")
        if len(variants) > _MOST_VARIANTS:
            raise ValueError(f"{len(variants)} variants: give {_MOST_VARIANTS} at most")
        for name in variants:
            _checked_name(name)
        total = math.fsum(variant.share for variant in variants.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares sum to {total:.10g}: make them sum to 1")
        return variants

    @model_validator(mode="before")
    @classmethod
    def _first_is_control(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("control") is None:
            variants = content.get("variants")
            if isinstance(variants, dict) and variants:
                return content | {"control": next(iter(variants))}
        return content

    @model_validator(mode="after")
    def _control_is_a_variant(self) -> Experiment:
        if self.control not in self.variants:
            raise ValueError(
                f"control: {self.control!r} is no variant"
                + listed(self.control, list(self.variants))
            )
        return self

    @property
    def shares(self) -> dict[str, float]:
        """Share of the users of each variant."""
        return {name: variant.share for name, variant in self.variants.items()}

    def variant_of(self, user: Any) -> str:
        """The name of a user's variant: the same in every process, today and tomorrow.

        Parameters
        ----------
        user : str, int or UUID
        """
        return variant_at(self.shares, place_of(self.name, user))

    def check_variant(self, name: str) -> str:
        """The name of a variant, if there is such a variant.

        Raises
        ------
        DataError
            There is none; the message names those that there are.
        """
        if name not in self.variants:
            raise DataError(
                f"experiment {self.name} has no variant {name!r:.80}"
                + listed(name, list(self.variants))
            )
        return name


def read_experiment(path: str | Path) -> Experiment:
    """Read an experiment from a YAML file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Experiment

    Raises
    ------
    DataError
        There is no such file, it is no YAML, it names a key or a variant twice, a key or a value is
        none, or the shares do not sum to 1; the message names the file, the key and the way out.
    """
    try:
        content, lines = read_yaml_with_lines(path, _HINT)
    except ModelError as error:
        raise DataError(str(error)) from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no keys and values. {_HINT}")
    if twice := repeated(path):  # the shares that count would be wrong, too
        raise file_error(path, twice, lines, _HINT)
    content = _with_text_names(content)
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise file_error(path, problems_of(error, content, Experiment), lines, _HINT) from None


def _with_text_names(content: dict[Any, Any]) -> dict[Any, Any]:
    """The content with names as text: YAML reads `1` as a number and an empty value as null."""
    content = {name: value for name, value in content.items() if value is not None}
    for key in ("name", "control", "success"):
        if isinstance(content.get(key), int) and not isinstance(content[key], bool):
            content[key] = str(content[key])
    variants = content.get("variants")
    if isinstance(variants, dict):
        content["variants"] = {
            str(name) if isinstance(name, int) and not isinstance(name, bool) else name: value
            for name, value in variants.items()
        }
    return content


def _checked_name(name: str) -> str:
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError(
            f"{name[:_LONGEST_NAME]!r} is no name: write lower-case letters, digits and hyphens "
            f"between them, {_LONGEST_NAME} characters at most"
        )
    return name
