"""The item map of a report: by t-SNE where openTSNE is installed, else by two main components."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.errors import DataError, MissingExtraError
from shoal.kernels.arrays import Double
from shoal.kernels.threads import use_threads
from shoal.maps.choosing import choose, popularity, scored_items
from shoal.maps.colouring import by_cluster, telling_colourings
from shoal.maps.drawing import drawing
from shoal.maps.item_map import ItemMap, Panel, item_map, titles_of
from shoal.maps.responses import centre, main_components, responses
from shoal.run import Run

ITEMS, CANDIDATES, FEWEST, LETTERS = 2000, 5000, 20, 60
MOST_ITEMS = 50_000  # of a catalogue of which a map is made: each of its items is scored
_ATTRIBUTES, _CLUSTERS, _PERPLEXITY = 2, 8, 30.0


def place_items(label: str, model: Recommender, log: Interactions, run: Run) -> dict[str, Any]:
    """Lay the most popular items of a model out.

    Parameters
    ----------
    label : str
    model : Recommender
    log : Interactions
        Popularity is counted in it.
    run : Run
        Its seed decides the layout.

    Returns
    -------
    dict
        ``drawing`` (what the script of maps draws), ``model`` (the label), ``placed_by``, ``kept``,
        ``n_catalogue`` and ``notes``.

    Raises
    ------
    DataError
        Too few items, or so many that a map takes too long; a model that answers alike to all.
    """
    n = int(model.known_items.sum())
    if n < FEWEST:
        raise DataError(f"{n} items are too few for a map: it needs {FEWEST}")
    if model.n_items > MOST_ITEMS:
        raise DataError(
            f"a map of a catalogue of {model.n_items:,} items takes long: make it with `shoal map`"
        )
    placed_by, kept = "t-SNE", None
    try:
        made = item_map(
            model,
            items=ITEMS,
            log=log,
            n_clusters=min(_CLUSTERS, n // 10),
            perplexity=min(_PERPLEXITY, (min(n, ITEMS) - 1) // 3),
            members=False,
            candidates=CANDIDATES,
            run=run,
        )
        kept = made.panels[0].kept
    except MissingExtraError:
        made, placed_by = _by_components(model, log, run), "the two main components"
    attributes = telling_colourings(model.item_table[model.items.lookup(made.items)], _ATTRIBUTES)
    colours = [*attributes, made.colouring]
    return {
        "drawing": drawing(replace(made, colouring=colours[0]), colours[1:], LETTERS),
        "model": label,
        "placed_by": placed_by,
        "kept": kept,
        "n_catalogue": made.n_catalogue,
        "notes": list(made.notes),
    }


def _by_components(model: Recommender, log: Interactions, run: Run) -> ItemMap:
    """The map that needs no other package: the two main components of the responses."""
    counts = popularity(model, log)
    chosen, notes = choose(model, ITEMS, counts, run.seed, of_log=True)
    scored = scored_items(chosen, counts, CANDIDATES)
    with use_threads(run.threads):
        R = responses(model, chosen, run, scored)
        centre(R, chosen if scored is None else np.searchsorted(scored, chosen), model.name)
        components: Double = main_components(R, run.seed)
    ids = model.items.take(chosen)
    titles = titles_of(model.item_table[chosen], ids)
    own = None if counts is None else counts[chosen]
    n_clusters = min(_CLUSTERS, len(chosen) // 10)
    colouring = by_cluster(components, n_clusters, titles, run.seed, own)
    panel = Panel(model.name, np.ascontiguousarray(components[:, :2], np.float64), 0.0, 0.0)
    users = () if own is None else tuple(own.tolist())
    return ItemMap(ids, titles, (panel,), colouring, model.n_items, 0.0, tuple(notes), users)
