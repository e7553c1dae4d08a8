"""``knobs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show
from shoal.cli.answering import LoadOptions
from shoal.cli.app import app
from shoal.cli.options import Folder, takes
from shoal.cli.terminal import visible

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.steering.knobs import Knob


@app.command()
@takes(LoadOptions)
def knobs(
    model: Folder,
    most: Annotated[int, typer.Option(min=1, help="How many knobs to list.")] = 24,
    *,
    running: LoadOptions,
) -> None:
    """List the knobs by which `recommend --steer` turns a list, and what they are made of."""
    from shoal.artifact import load
    from shoal.steering.knobs import knobs as knobs_of

    run = running.run()
    fitted = load(model, run)
    made = knobs_of(fitted, run=run)
    # the same knobs as those of `recommend --steer`, however many are listed
    largest = {knob.name for knob in sorted(made, key=lambda knob: -knob.n_items)[:most]}
    listed = [knob for knob in made if knob.name in largest]
    if running.json_output:
        rows = [{**knob.to_dict(), "titles": _titles(fitted, knob)} for knob in listed]
        show.as_json({"model": made.model, "source": made.source, "knobs": rows})
        return
    from rich.table import Table

    table = Table("knob", "items", "share with its name", "made of", box=None, pad_edge=False)
    for knob in listed:
        titles = "; ".join(str(title) for title in _titles(fitted, knob)[:3])
        table.add_row(*map(visible, (_name(knob), f"{knob.n_items:,}", _share(knob), titles)))
    show.print_table(table)
    what = "sides of units of its item vectors" if made.source == "units" else "clusters of items"
    show.line()
    number = f"{len(listed)} of {len(made)}" if len(listed) < len(made) else f"{len(made)}"
    show.line(f"{number} knobs of {made.model}: {what}. Turn a list by them:", "dim")
    show.line(f"  shoal recommend {model} --history ID,ID --steer '{listed[0].name}=0.5'", "dim")
    if made.are_unnamed:
        show.line("These knobs have no names: train with --items to give them some.", "dim")


def _titles(model: Recommender, knob: Knob) -> list[Any]:
    """The titles of the items that a knob is made of, or their ids."""
    from shoal.data.titles import title_of
    from shoal.inference.explanations import attributes_of

    attributes = attributes_of(model, model.items.lookup(knob.items))
    return [title_of(about) or i for i, about in zip(knob.items, attributes, strict=True)]


def _name(knob: Knob) -> str:
    """The name, and whether it holds for no more than most of the members."""
    return f"{knob.name} (mostly)" if knob.is_mostly else knob.name


def _share(knob: Knob) -> str:
    """How much of a knob its name tells of, beside its share of the catalogue."""
    if knob.share is None or knob.base is None:
        return ""  # it is named by two of its items
    return f"{knob.share:.0%} ({knob.base:.0%} of all)"
