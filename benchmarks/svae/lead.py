"""Why SVAE is ahead of its published figure here: a part of svae.md, from what variants.py adds."""

from __future__ import annotations

from benchmarks.harness.page import table
from benchmarks.harness.results import Results, Row

# N@100 on the validation users after each epoch, as printed in that notebook, scored its way
NOTEBOOK_CURVE = (
    26.15, 27.74, 28.27, 27.54, 28.71, 28.78, 28.46, 29.05, 29.07, 28.75, 29.67, 29.61, 29.42,
    29.25, 29.25, 29.09, 29.14, 29.42, 29.49, 29.08, 29.44, 28.88, 29.51, 29.29, 29.52,
)  # fmt: skip
# of scoring: the names in variants.py
WAYS = ("ours", "code drawn", "last not read", "last not read or left out", "theirs")
WHY = """
## Why ours is ahead, one change at a time

`python benchmarks/svae/variants.py` trains SVAE with one of these differences or all of them, and
scores the result after each epoch in five ways: ours; with the code drawn; without reading the last
item; and without keeping it out of the recommendations either; theirs is all of it together.
"""


TRAININGS = ("ours", "noise", "beta", "noise and beta", "batch", "theirs")  # of variants.py


def section(results: Results, whole: Row, published: float) -> str:
    """The part of the page.

    Parameters
    ----------
    results : Results
        With a result `variant-NAME` for each training that has been measured.
    whole : dict
        The result of our SVAE with all epochs.
    published : float
        N@100 on the test users, in the notebook.
    """
    variants = [row for name in TRAININGS if (row := results.get(f"variant-{name}"))]
    if not variants or variants[0]["variant"] != "ours":
        return ""
    absent = [f"“{name}”" for name in TRAININGS if f"variant-{name}" not in results]
    text = WHY + of_scoring(variants[0], whole, published) + of_training(whole)
    if absent:
        text += (
            f"\nNot measured yet: {', '.join(absent)}.\n"
            "Which of the noise, β and the size of updates makes that difference is not known.\n"
        )
    return text + by_scoring(variants) + by_epoch(variants, whole)


def of_scoring(row: Row, whole: Row, published: float) -> str:
    """In words, how much of the lead the scoring makes."""
    first, last = (
        {way: 100 * found["test"]["ndcg@100"] for way, found in row["epochs"][e].items()}
        for e in (0, -1)
    )
    read = last["ours"] - last["last not read"]
    left_out = last["last not read"] - last["last not read or left out"]
    drawn = last["last not read or left out"] - last["theirs"]
    ours, theirs = 100 * whole["metrics"]["ndcg@100"]["mean"], 100 * published
    epochs = len(row["epochs"])
    lines = [
        "",
        f"**Scoring.** The lead on the test users is {ours - theirs:.2f} points of N@100 "
        f"({ours:.2f} against {theirs:.2f}).",
        f"With the weights after {epochs} epochs (N@100 {last['ours']:.2f}), scoring their way "
        f"costs {last['ours'] - last['theirs']:.2f} points:",
        f"{read:.2f} since the last item is not read, {left_out:.2f} since it may be recommended, "
        f"{drawn:.2f} since the code is drawn.",
    ]
    if epochs > 1:
        cost = first["ours"] - first["theirs"]
        lines.append(f"After the first epoch, when the model knew less, it cost {cost:.2f}.")
    return "\n".join(lines) + "\n"


def of_training(whole: Row) -> str:
    """In words, what the learning curves say."""
    curve = [100 * value for value, _ in whole["curve"]]
    behind = next(e for e, (a, b) in enumerate(zip(curve, NOTEBOOK_CURVE, strict=False)) if a > b)
    late = NOTEBOOK_CURVE[7:]
    users = whole["sizes"]["train_users"]
    updates = -(-users // whole["parameters"]["batch_size"])
    lines = [
        "",
        "**Training.** The notebook's model learns faster and gains less later: on the validation",
        f"users, each scored its own way, it is ahead in the first {behind} epochs (of {users:,} "
        f"updates there and {updates} here),",
        f"and stays between {min(late):.2f} and {max(late):.2f} from the eighth on, while ours "
        f"goes on to {max(curve):.2f}.",
    ]
    return "\n".join(lines) + "\n"


def by_scoring(variants: list[Row]) -> str:
    """What each change of scoring alone makes, with the weights of the last epoch measured."""
    lines = []
    for row in variants:
        last = row["epochs"][-1]
        for way in WAYS:
            found, cells = last[way], []
            for part in ("validation", "test"):
                value, ours = (100 * x[part]["ndcg@100"] for x in (found, last["ours"]))
                cells += [f"{value:.2f}", "" if way == "ours" else f"{value - ours:+.2f}"]
            lines.append([row["variant"], str(len(row["epochs"])), way, *cells])
    head = "training | epochs | scoring | N@100, validation | change | N@100, test | change"
    return table(head, lines)


def by_epoch(variants: list[Row], whole: Row) -> str:
    """N@100 on the validation users as training goes on."""
    columns = {
        "the notebook, printed": list(NOTEBOOK_CURVE),
        "ours, all epochs": [100 * value for value, _ in whole["curve"]],
    }
    for row in variants:
        name = "all of theirs" if row["variant"] == "theirs" else row["variant"]
        for way in ("ours", "theirs"):
            found = [100 * e[way]["validation"]["ndcg@100"] for e in row["epochs"]]
            columns[f"{name}, scored {'our' if way == 'ours' else 'their'} way"] = found
    epochs = [*range(1, 11), 15, 20, 25]
    lines = [
        [name, *(f"{c[e - 1]:.1f}" if e <= len(c) else "" for e in epochs)]
        for name, c in columns.items()
    ]
    head = "N@100, validation, after epoch | " + " | ".join(map(str, epochs))
    return table(head, lines)
