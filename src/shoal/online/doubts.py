"""What speaks against giving everybody a variant, in sentences."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.online.results import Guard, OnlineReport


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that speaks against a variant.

    Parameters
    ----------
    text : str
        A sentence.
    is_serious : bool
        Whether something is known to be wrong, and not just nothing known yet.
    """

    text: str
    is_serious: bool


def doubts(report: OnlineReport, name: str) -> list[Doubt]:
    """What speaks against promoting a variant; nothing does if this is empty.

    Parameters
    ----------
    report : OnlineReport
    name : str
        The variant.
    """
    told = []
    variant = report.variant(name)
    if report.sample_ratio.mismatch:
        text = "The numbers of users do not fit the shares, so the comparison cannot be trusted."
        told.append(Doubt(text, is_serious=True))
    difference = variant.difference
    if difference is not None and difference.verdict == "worse":
        told.append(Doubt(f"It gets fewer clicks than {report.control}.", is_serious=True))
    elif difference is not None and difference.verdict != "better":
        text = f"It is not known yet whether it gets more clicks than {report.control}."
        told.append(Doubt(text, is_serious=False))
    for guard in variant.guards:
        if guard.passed is False:
            sentence = guard_sentence(guard, report.control)
            told.append(Doubt(f"{sentence[0].upper()}{sentence[1:]}.", is_serious=True))
    return told


def guard_sentence(guard: Guard, control: str) -> str:
    """The number of a guard and what it allows, as the end of a sentence about the variant."""
    assert guard.ratio is not None
    if guard.name == "coverage":
        return (
            f"it shows {guard.ratio:.2f} times as many different items as {control}; the guard "
            f"asks for {guard.limit:g}"
        )
    return (
        f"what it shows is {guard.ratio:.2f} times as popular as what {control} shows; the guard "
        f"allows {guard.limit:g}"
    )
