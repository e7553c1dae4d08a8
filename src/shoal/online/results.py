"""What a report of an experiment says, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from shoal.online.sequence import Interval

Verdict = Literal["better", "worse", "not known yet", "too few users"]


@dataclass(frozen=True, slots=True)
class Difference:
    """How the click-through rate of a variant differs from the control's.

    Parameters
    ----------
    value : float or None
        Rate of the variant − rate of the control; None where one of them was shown nothing.
    relative : float or None
        The same as a share of the control's rate; None where the control has no clicks.
    interval : Interval or None
        It holds whenever one looks; None with too few users.
    verdict : str
        "better" or "worse" if the interval excludes 0, else "not known yet"; "too few users" where
        there is no interval.
    """

    value: float | None
    relative: float | None
    interval: Interval | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Guard:
    """A number that must not move too far from the control's.

    Parameters
    ----------
    name : str
        "coverage" or "popularity".
    value, control : float or None
        The variant's number and the control's; None where it is not known.
    ratio : float or None
        value / control.
    limit : float
        The ratio that is still allowed: the least for coverage, the greatest for popularity.
    passed : bool or None
        None where the ratio is not known, or users are too few.
    why : str
        Why it is not known; empty where it is.
    """

    name: str
    value: float | None
    control: float | None
    ratio: float | None
    limit: float
    passed: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class VariantReport:
    """What is known of a variant.

    Parameters
    ----------
    name : str
    share : float
        Share of the users that it should have.
    settings : dict
        What differs in it: settings of `shoal.recommend`, `model` or `version`.
    is_control : bool
    users, lists, impressions, clicks : int
        Users with a list, their lists, the items in these, and those that were clicked.
    rate : float or None
        clicks / impressions; None where nothing was shown.
    interval : Interval or None
        Of the rate; it holds whenever one looks. None with too few users.
    difference : Difference or None
        To the control; None for the control.
    coverage : float or None
        Distinct items that are expected in as many impressions as the variant with the fewest has,
        of those with enough users for an interval; None for a variant with fewer impressions.
    popularity : float or None
        Mean training users of the items that were shown; None if no model was named.
    guards : tuple of Guard
        Empty for the control.
    """

    name: str
    share: float
    settings: dict[str, Any]
    is_control: bool
    users: int
    lists: int
    impressions: int
    clicks: int
    rate: float | None
    interval: Interval | None
    difference: Difference | None
    coverage: float | None
    popularity: float | None
    guards: tuple[Guard, ...]

    @property
    def guards_passed(self) -> bool | None:
        """Whether all guards passed; None where one is not known and none failed."""
        results = {guard.passed for guard in self.guards}
        return False if False in results else None if None in results else True


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Whether each variant has as many users as its share says.

    Parameters
    ----------
    p : float
        It may be looked at any number of times.
    level : float
        A p below is flagged.
    mismatch : bool
    expected : dict of str to float
        Users that each variant should have.
    """

    p: float
    level: float
    mismatch: bool
    expected: dict[str, float]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is stored of the experiment and does not count.

    Parameters
    ----------
    without_user : int
        Lists that were shown without a user.
    while_promoted : int
        Lists from the time in which everybody got one variant.
    of_another_variant : int
        Lists of a variant other than that of the user's first list.
    unknown_variants : dict of str to int
        Lists of variants that the experiment does not have, by their names.
    clicks_not_shown : int
        Clicks on items that were not in the list.
    """

    without_user: int
    while_promoted: int
    of_another_variant: int
    unknown_variants: dict[str, int]
    clicks_not_shown: int


@dataclass(frozen=True, slots=True)
class OnlineReport:
    """What an experiment has shown so far.

    Parameters
    ----------
    experiment, success, control : str
        Name of the experiment, type of event that counts as a click, and the variant that the
        others are compared with.
    promoted : str or None
        The variant that everybody gets now.
    since, until : float or None
        The time window that was asked for, in seconds since 1970.
    first, last : float or None
        When the first and the last list that counts was shown.
    alpha : float
        Probability with which an interval of a rate ever excludes the truth. Those of differences
        share it, so that all of them hold together.
    least_users : int
        Users that a variant needs for an interval.
    variants : tuple of VariantReport
        In the order of the experiment's file.
    sample_ratio : SampleRatio
    left_out : LeftOut
    conclusion : str
        What follows, in one sentence or two.
    notes : tuple of str
        What else must be known to read the numbers, in sentences.
    """

    experiment: str
    success: str
    control: str
    promoted: str | None
    since: float | None
    until: float | None
    first: float | None
    last: float | None
    alpha: float
    least_users: int
    variants: tuple[VariantReport, ...]
    sample_ratio: SampleRatio
    left_out: LeftOut
    conclusion: str
    notes: tuple[str, ...]

    def variant(self, name: str) -> VariantReport:
        """The report of the variant with this name."""
        return next(variant for variant in self.variants if variant.name == name)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, for JSON."""
        return asdict(self)
