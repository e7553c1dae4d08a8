"""Writes the page of families/run.py from its results."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev

from benchmarks.families.grids import AUTOENCODER, BOTH, BUDGET, FAMILIES, FILTER
from benchmarks.families.sets import KINDS, MOST_ITEMS, MOST_USERS, SETS
from benchmarks.families.threshold import (
    FACTS,
    MATTERS,
    SEEDS,
    Case,
    cases,
    choose,
    left_out,
    values,
)
from benchmarks.harness.results import Results

HEAD = f"""# Autoencoders and graph filters: which family for which log

Written by `benchmarks/families/run.py`; no figure here is typed by hand.

    SHOAL_DATA=… python benchmarks/families/run.py run

The same logs under two splits. *Strong*: 10 % of the users are held out for validation and 10 % for
test; the model never saw them, reads 80 % of their items and has to find the rest. *Weak*, which is
how the LightGCN splits are made: of each user, a random 20 % of the items are the test and 10 % the
validation. Every model has the same budget: {BUDGET} settings, of which the one with the best
NDCG@20 on the validation users of seed 0 is fitted and tested with {len(SEEDS)} seeds, each with a
split of its own (grids: `grids.py`; the ridge λ is in multiples of the mean diagonal of G', so that
one grid fits logs of all sizes). Logs are cut to their {MOST_ITEMS:,} most popular items, and at
most {MOST_USERS:,} users are tested, so **these are not published splits**, and no figure here can
be compared with a published one. On some logs only some of the models were run: the end of the page
names what is missing, and *best* is the best of those that were run. On the sparse logs both
families chose settings at the ends of their grids (dropout 0.8; a low-pass weight of 1), so both
would gain from a wider search. Vectors of the low-pass filters are shared between the settings of
one log, and times are not measured here. The blend is of edlae and gf-cf with their own best
settings; its weights are chosen on the same validation users.
"""


def render(results: Results) -> str:
    """The whole page."""
    found = cases(results)
    if not found:
        return HEAD + "\nNot yet run.\n"
    text = HEAD + _who_is_ahead(found)
    for kind in KINDS:
        text += _models(results, kind)
    return text + _rule(found) + _logs() + _settings(results) + _missing(results)


def _who_is_ahead(found: Sequence[Case]) -> str:
    rows = [
        "| log | density | history | users per item | split | best autoencoder | best graph filter "
        "| ahead | by | best of both in one |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in SETS:
        for case in (case for case in found if case.name == name):
            facts = case.facts
            leads = f"{case.lead:+.1%}".replace("-", "−")
            rows.append(
                f"| {name} | {facts['density']:.2%} | {facts['median_history']:.0f} | "
                f"{facts['users_per_item']:.0f} | {case.kind} | {_named(case, AUTOENCODER)} | "
                f"{_named(case, FILTER)} | {case.winner or 'even'} | {leads} | "
                f"{_named(case, BOTH)} |"
            )
    return (
        "\n## Who is ahead\n\nNDCG@20, mean of the seeds. Of each family, the model that "
        "validates best. *by*: how far the autoencoder is ahead, as a share of the larger value; "
        f"*even*: less than {MATTERS:.0%}, or not the same sign with all seeds.\n\n"
        + "\n".join(rows)
        + "\n"
    )


def _named(case: Case, family: str) -> str:
    if family not in case.best:
        return ""
    label, own = case.best[family]
    return f"{label} {mean(own):.4f}"


def _models(results: Results, kind: str) -> str:
    there = [name for name in SETS if f"{name}|{kind}|facts" in results]
    text = f"\n## All models, {kind} split\n\nNDCG@20, ± the standard deviation of the seeds.\n\n"
    text += f"| model | family | {' | '.join(there)} |\n|---|---|{'---|' * len(there)}\n"
    for model, (family, _) in FAMILIES.items():
        cells = []
        for name in there:
            own = values(results, name, kind, model)
            best = max(
                (mean(v) for m in FAMILIES if (v := values(results, name, kind, m))), default=0.0
            )
            mark = "**" if own and mean(own) == best else ""
            cells.append(f"{mark}{mean(own):.4f}{mark} ±{stdev(own):.4f}" if own else "")
        if any(cells):
            text += f"| {model} | {family} | {' | '.join(cells)} |\n"
    return text


def _rule(found: Sequence[Case]) -> str:
    decided = [case for case in found if case.winner]
    text = "\n## A rule of thumb\n\n"
    n, logs = len(decided), len({case.name for case in found})
    text += (
        f"{len(found)} cases ({logs} logs, each with up to two splits), {n} of them decided. For "
        "each fact of a log, the one threshold that is right most often (of equal ones, the one "
        "whose errors lose least); *left out*: hits on each "
        "log by the threshold that the other logs choose. Always naming the more frequent family "
        f"is right in {_majority(decided)} of {n}.\n\n"
        "| fact | threshold | at or above | below | right | left out |\n|---|---|---|---|---|---|\n"
    )
    rows = []
    for fact, label in FACTS.items():
        rule = choose(decided, fact)
        outside = left_out(decided, fact)
        line = f"| {label} | {rule.at:.3g} | {rule.above} | {rule.below} "
        line += f"| {rule.hits} of {n} | {outside} of {n} |"
        rows.append((outside, rule.hits, line))
    return text + "\n".join(row for *_, row in sorted(rows, reverse=True)) + "\n"


def _majority(decided: Sequence[Case]) -> int:
    named = [case.winner for case in decided]
    return max((named.count(family) for family in (AUTOENCODER, FILTER)), default=0)


def _logs() -> str:
    text = "\n## How the logs were read\n\n"
    return text + "\n".join(f"- {name}: {each.about}." for name, each in SETS.items()) + "\n"


def _settings(results: Results) -> str:
    text = "\n## Chosen settings\n\n| log | split | model | validation | settings |\n"
    text += "|---|---|---|---|---|\n"
    for name in SETS:
        for kind in KINDS:
            for model in FAMILIES:
                tuned = results.get(f"{name}|{kind}|{model}|tuned")
                if tuned is None:
                    continue
                settings = ", ".join(f"{k} {v}" for k, v in tuned["settings"].items())
                text += f"| {name} | {kind} | {model} | {max(tuned['values']):.4f} | {settings} |\n"
    return text


def _missing(results: Results) -> str:
    missing = [
        f"{name} {kind} {model}"
        for name in SETS
        for kind in KINDS
        for model in FAMILIES
        if not values(results, name, kind, model)
    ]
    return f"\nNot yet run: {'; '.join(missing)}.\n" if missing else ""
