"""What the numbers of an experiment mean, in sentences."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from shoal.online.counting import Counts
from shoal.online.definition import Experiment
from shoal.online.doubts import guard_sentence
from shoal.online.results import SampleRatio, VariantReport
from shoal.online.sequence import LEAST_USERS
from shoal.run import how_many

_LARGE_SHARE = 0.1  # of the impressions of a variant, for one user


def conclusion(variants: Sequence[VariantReport], ratio: SampleRatio, promoted: str | None) -> str:
    """What follows from a report, in one or two sentences."""
    told = [f"{promoted} is promoted: everybody gets it."] if promoted is not None else []
    compared = [variant for variant in variants if variant.difference is not None]
    if not any(variant.impressions for variant in variants):
        told.append("Nothing was shown yet, so there is nothing to conclude.")
    elif ratio.mismatch:
        told.append(
            f"The numbers of users do not fit the shares (p = {ratio.p:.2g}): something loses "
            "users of one variant. Do not trust the comparison before it is found."
        )
    elif not compared:
        told.append("There is one variant alone, and nothing to compare it with.")
    else:
        told += _differences(compared, variants)
    return " ".join(told)


def _differences(compared: Sequence[VariantReport], variants: Sequence[VariantReport]) -> list[str]:
    control = next(variant.name for variant in variants if variant.is_control)
    told = [_sentence(variant, control) for variant in compared if _is_known(variant)]
    if told:
        return told
    if all(v.difference is not None and v.difference.interval is None for v in compared):
        return [f"There are fewer than {LEAST_USERS} users in a variant, too few for an interval."]
    return [
        f"It is not known yet whether a variant differs from {control}; you may look as often as "
        "you like."
    ]


def _is_known(variant: VariantReport) -> bool:
    return variant.difference is not None and variant.difference.verdict in ("better", "worse")


def _sentence(variant: VariantReport, control: str) -> str:
    difference = variant.difference
    assert difference is not None
    by = "" if difference.relative is None else f" ({difference.relative:+.1%})".replace("-", "−")
    if difference.verdict == "worse":
        return f"{variant.name} gets fewer clicks than {control}{by}."
    failed = [guard for guard in variant.guards if guard.passed is False]
    if failed:
        moved = ", and ".join(guard_sentence(guard, control) for guard in failed)
        return f"{variant.name} gets more clicks than {control}{by}, but {moved}."
    return f"{variant.name} gets more clicks than {control}{by}{_guarded(variant)}."


def _guarded(variant: VariantReport) -> str:
    """What follows of a variant that gets more clicks and has no guard that failed."""
    unknown = [guard.name for guard in variant.guards if guard.passed is None]
    if unknown:
        return f": it can be promoted, but its guard of {' and '.join(unknown)} is not known"
    return f"{', and its guards hold' if variant.guards else ''}: it can be promoted"


def notes_of(
    experiment: Experiment,
    counts: Counts,
    variants: Sequence[VariantReport],
    others: Mapping[str, int],
    window: tuple[float | None, float | None],
) -> tuple[str, ...]:
    """What else must be known to read the numbers.

    Parameters
    ----------
    experiment : Experiment
    counts : Counts
    variants : sequence of VariantReport
    others : mapping of str to int
        How many lists are stored of each experiment, where none of this one is counted.
    window : pair of float or None
        The times from which and before which lists count.
    """
    told: list[str] = []
    if counts.first is None:
        told.append(_nothing_stored(experiment, others, window))
    elif not any(variant.clicks for variant in variants):
        told.append(
            f"No event of type {experiment.success!r} is stored for an item of these lists: look "
            "whether clicks are sent with the request_id of their list, and with this type."
        )
    if counts.without_user:
        told.append(f"{_lists(counts.without_user)} shown without a user, and left out.")
    if counts.while_promoted:
        told.append(
            f"{_lists(counts.while_promoted)} shown while everybody got one variant, and left out."
        )
    if counts.of_another_variant:
        told.append(
            f"{_lists(counts.of_another_variant)} of a second variant that "
            f"{how_many(counts.users_moved, 'user')} came to, and left out. Give an experiment "
            "whose shares change a new name."
        )
    if counts.users_elsewhere:
        told.append(
            f"{how_many(counts.users_elsewhere, 'user')} "
            f"{'is' if counts.users_elsewhere == 1 else 'are'} counted in another variant than the "
            "file assigns: the shares were edited, or something else chose the variant."
        )
    for name, n in sorted(counts.unknown_variants.items()):
        told.append(
            f"{_lists(n)} of variant {name!r}, which the experiment does not have, and left out."
        )
    if counts.clicks_not_shown:
        clicks = how_many(counts.clicks_not_shown, "click")
        told.append(f"{clicks} on items that were not in the list, not counted.")
    for name, counted in counts.variants.items():
        share = float(counted.sums.largest_share)
        if counted.sums.users >= LEAST_USERS and share > _LARGE_SHARE:
            told.append(
                f"One user accounts for {share:.0%} of what was shown in {name}: look whether that "
                "is a person. The intervals are wide because of it."
            )
    return tuple(told)


def _nothing_stored(
    experiment: Experiment,
    others: Mapping[str, int],
    window: tuple[float | None, float | None],
) -> str:
    if experiment.name in others:
        within = " in this time window" if window != (None, None) else ""
        return f"No list of experiment {experiment.name} counts{within}."
    if not others:
        return (
            f"No list of experiment {experiment.name} is stored yet: serve it with --experiment, "
            "and send each list that is shown to POST /v1/track."
        )
    close = difflib.get_close_matches(experiment.name, others, n=1)
    names = close + [name for name in others if name not in close]
    there = ", ".join(f"{name} ({how_many(others[name], 'list')})" for name in names[:5])
    return (
        f"No list of experiment {experiment.name} is stored; this database has {there}: is the "
        "name right?"
    )


def _lists(n: int) -> str:
    return f"{how_many(n, 'list')} {'was' if n == 1 else 'were'}"
