"""Maps of a catalogue: the items that a model treats alike lie near each other.

The model is asked about each item alone: the history {i} has a row of scores, its *response*. Two
items are near if their responses are alike. That needs nothing but `score`, so it works for any
model that ranks. A model made of members gets a panel for itself and one for each member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from scipy.spatial import cKDTree

from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.data.titles import title_of
from shoal.errors import DataError, MemoryBudgetError, MissingExtraError, ModelError
from shoal.kernels.arrays import Double, Float, Long
from shoal.kernels.threads import use_threads
from shoal.maps.choosing import choose, popularity, scored_items
from shoal.maps.colouring import Colouring, by_attribute, by_cluster, check_clusters
from shoal.maps.responses import (
    COMPONENTS,
    centre,
    main_components,
    nearest_rows,
    responses,
    rows_at_once,
)
from shoal.run import Run, human_bytes

ITEMS, PERPLEXITY, CLUSTERS = 2000, 30.0, 8  # defaults
NEAR = 10  # number of neighbours that `Panel.kept` compares

_PHASES = ((250, 12.0, 0.5), (500, 1.0, 0.8))  # updates, exaggeration, momentum: openTSNE's own
_STRIDE = 50  # updates of the layout between two reports of progress


@dataclass(frozen=True)
class Panel:
    """One model's picture of the items.

    Parameters
    ----------
    name : str
        Name of the model.
    xy : (m, 2) float64
        Positions of the items. Axes, scale and direction mean nothing.
    kept : float
        Share of each item's ten nearest by response that are among its ten nearest in the picture.
        It says how far the picture can be trusted.
    divergence : float
        Kullback-Leibler divergence that t-SNE ended with.
    """

    name: str
    xy: Double
    kept: float
    divergence: float


@dataclass(frozen=True)
class ItemMap:
    """Items in two dimensions; `shoal.write_map` makes a picture, a page or a table of it.

    Parameters
    ----------
    items : list
        Item ids, in the order of the catalogue.
    titles : list of str
        Names of the items for people; the id where there is no title.
    panels : tuple of Panel
        The model, then each of its members, if it has any.
    colouring : Colouring
        Colours of the items, the same in all panels.
    n_catalogue : int
        Number of items that the model knows; the map may hold fewer.
    perplexity : float
        Perplexity of t-SNE.
    notes : tuple of str
        How the items were chosen, and which were left out.
    users : tuple of int
        Popularity of the items, by which they were chosen; empty where it is not known.
    """

    items: list[Any]
    titles: list[str]
    panels: tuple[Panel, ...]
    colouring: Colouring
    n_catalogue: int
    perplexity: float
    notes: tuple[str, ...] = field(default=())
    users: tuple[int, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.items)

    def table(self) -> pl.DataFrame:
        """One row per item: item, title, colour, x and y; x_2, y_2, … for further panels."""
        columns: dict[str, Any] = {"item": list(map(str, self.items))}
        if all(isinstance(i, int) for i in self.items):
            columns["item"] = self.items
        columns |= {"title": self.titles, "colour": list(self.colouring.texts)}
        for number, panel in enumerate(self.panels, start=1):
            suffix = f"_{number}" if number > 1 else ""
            columns |= {f"x{suffix}": panel.xy[:, 0], f"y{suffix}": panel.xy[:, 1]}
        return pl.DataFrame(columns)


def item_map(
    model: Recommender,
    *,
    items: int | None = ITEMS,
    log: Interactions | None = None,
    colour: str = "cluster",
    n_clusters: int = CLUSTERS,
    perplexity: float = PERPLEXITY,
    members: bool = True,
    candidates: int | None = None,
    run: Run | None = None,
) -> ItemMap:
    """Lay a model's items out in two dimensions, by how it answers to each of them alone.

    The response of item i is the row of scores for the history {i}. Its own entry is left out: it
    says how a model treats what is in the history, not what i is like. Rows are centred, since a
    score has no zero and rankings do not change if all of them move; columns are centred, since
    what the model recommends to everyone says nothing about i. They are not divided by their
    deviation: that would let candidates that hardly ever get a score count like the others. What
    remains is compared by cosine, and t-SNE places items with like responses side by side.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded, one that ranks. If it has `members` (fitted models of the same items),
        each gets a panel of its own.
    items : int or None
        Number of items on the map, the most popular ones; None takes all. Items of which the model
        knows nothing are left out.
    log : Interactions, optional
        A log in which popularity is counted, in place of the training users that a model counts.
        For a model that was saved without counts, items are drawn at random unless this is given.
    colour : str
        An attribute of the model's `item_table`, or ``cluster``: k-means on the main components of
        the model's responses, each named by its two most popular items.
    n_clusters : int
        Number of clusters, where items are coloured by cluster.
    perplexity : float
        About how many neighbours t-SNE lets each item have; needs 3 · perplexity other items.
    members : bool
        Whether the members of a model get panels of their own.
    candidates : int, optional
        Compare the scores of so many items at most, the most popular ones and those on the map, in
        place of all: less memory and time for large catalogues.
    run : Run, optional
        The seed decides which items are drawn, the clusters and the layout. Threads, memory budget
        and progress are used as well.

    Returns
    -------
    ItemMap

    Raises
    ------
    DataError
        Too few items for the perplexity, an unknown attribute, a log of other items, a model that
        answers alike to every history.
    MemoryBudgetError
        The responses do not fit; nothing has been allocated.
    MissingExtraError
        openTSNE is not installed.
    ModelError
        The model predicts ratings, its members have other items, or a score is not a number.
    NotFittedError
        The model is not fitted.

    References
    ----------
    V. Vančura and P. Kordík, *Deep Variational Autoencoder with Shallow Parallel Path for Top-N
    Recommendation (VASP)*, 2021: the maps of a product's members. P. Poličar et al., *openTSNE*,
    2019.
    """
    run = run or Run()
    models = _mapped_models(model, members=members)
    _opentsne_or_advice()
    if not 2 <= perplexity < np.inf:
        raise DataError(f"perplexity {perplexity:g}: give a number from 2 on (--perplexity)")
    if items is not None and items < 1:
        raise DataError(f"{items} items: ask for 1 or more, or for all (--items 0)")
    counts = popularity(model, log)
    chosen, notes = choose(model, items, counts, run.seed, of_log=log is not None)
    _check_perplexity(len(chosen), perplexity)
    table, ids = model.item_table[chosen], model.items.take(chosen)
    titles = titles_of(table, ids)
    colouring = None if colour == "cluster" else by_attribute(table, colour)
    if colouring is None:
        check_clusters(n_clusters, len(chosen))
    scored = scored_items(chosen, counts, candidates)
    n_scored = model.n_items if scored is None else len(scored)
    _check_budget(n_scored, len(chosen), perplexity, run)
    panels, components, more_notes = _panels(models, chosen, scored, perplexity, run)
    if colouring is None:
        own_counts = None if counts is None else counts[chosen]
        colouring = by_cluster(components, n_clusters, titles, run.seed, own_counts)
    notes += more_notes
    users = () if counts is None else tuple(counts[chosen].tolist())
    return ItemMap(ids, titles, panels, colouring, model.n_items, perplexity, tuple(notes), users)


def _panels(
    models: Sequence[Recommender], chosen: Long, scored: Long | None, perplexity: float, run: Run
) -> tuple[tuple[Panel, ...], Double, list[str]]:
    """A panel for each model, the main components of the first, and notes for a person."""
    panels, notes = [], []
    components: Double | None = None
    with use_threads(run.threads):
        for name, model in zip(_names(models), models, strict=True):
            R = responses(model, chosen, run, scored)
            own = chosen if scored is None else np.searchsorted(scored, chosen)
            n_silent = centre(R, own, model.name)
            if n_silent:
                notes.append(
                    f"{model.name} answers {n_silent:,} of the items with the same score for all: "
                    "it has learned nothing about them, and they lie together"
                )
            own_components = main_components(R, run.seed)
            panels.append(_place(name, R, own_components, perplexity, run))
            components = own_components if components is None else components
            del R
    assert components is not None
    return tuple(panels), components, notes


def titles_of(table: pl.DataFrame, ids: Sequence[Any]) -> list[str]:
    """What to call the items of a table: title, else name, else id."""
    return [str(title_of(r) or i) for r, i in zip(table.to_dicts(), ids, strict=True)]


def _mapped_models(model: Recommender, *, members: bool) -> list[Recommender]:
    """The model and, with `members`, its members, if all of them can be mapped."""
    models = [model, *(getattr(model, "members", ()) if members else ())]
    for mapped in models:
        if mapped.task != "ranking":
            raise ModelError(
                f"{mapped.name} predicts ratings of known users: a map needs a model that ranks "
                "for any history"
            )
        if mapped.items != model.items:
            raise ModelError(f"{mapped.name}, a member of {model.name}, has other items than it")
    return models


def _names(models: Sequence[Recommender]) -> list[str]:
    """Names of the panels: those of the models, numbered where several members share one."""
    names = [model.name for model in models]
    return [
        f"{name} {names[1 : i + 1].count(name)}" if i and names[1:].count(name) > 1 else name
        for i, name in enumerate(names)
    ]


def _opentsne_or_advice() -> Any:
    """The module openTSNE, or an error that says how to install it."""
    try:
        import openTSNE.affinity
        import openTSNE.nearest_neighbors
    except ImportError:
        raise MissingExtraError("a map needs openTSNE: pip install 'shoal[map]'") from None
    return openTSNE


def _check_perplexity(m: int, perplexity: float) -> None:
    """Refuse a perplexity that needs more neighbours than m items have."""
    need = int(3 * perplexity) + 1
    if m >= need:
        return
    most = (m - 1) // 3
    way = f"give --perplexity {most} or less" if most >= 2 else "that is too few for any map"
    raise DataError(
        f"perplexity {perplexity:g} needs at least {need:,} items (3 neighbours for each unit), "
        f"the map has {m:,}: {way}"
    )


def _bytes(m: int, n: int, perplexity: float) -> int:
    """Memory of the responses, a block of scores or cosines, the neighbours and the layout."""
    block = min(m, rows_at_once(n)) * n + min(m, rows_at_once(m)) * m
    return 4 * m * n + 12 * block + 60 * m * int(3 * perplexity) + 48 * COMPONENTS * (m + n)


def _check_budget(n: int, m: int, perplexity: float, run: Run) -> None:
    """Refuse a map of m of n items that does not fit, and say how many items would."""
    need, budget = _bytes(m, n, perplexity), run.memory_budget
    if need <= budget:
        return
    low, high = 0, m
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _bytes(middle, n, perplexity) <= budget else (low, middle)
    raise MemoryBudgetError(
        f"the responses of {m:,} items over a catalogue of {n:,} need {human_bytes(need)}, the "
        f"budget is {human_bytes(budget)}: map about {low:,} items (--items), or raise the budget "
        "(--memory)"
    )


def _place(
    name: str,
    R: Float,
    components: Double,
    perplexity: float,
    run: Run,
) -> Panel:
    """Lay rows of length 1 out by t-SNE, from exact neighbours, beginning at two components."""
    tsne = _opentsne_or_advice()
    near, far = nearest_rows(R, int(3 * perplexity))
    # one thread: sums of several have no fixed order, and the layout amplifies the rounding
    affinities = tsne.affinity.PerplexityBasedNN(
        perplexity=perplexity,
        knn_index=tsne.nearest_neighbors.PrecomputedNeighbors(near, far),
        n_jobs=1,
        random_state=run.seed,
    )
    start = components[:, :2] / components[:, 0].std() * 1e-4  # small, as openTSNE's own are
    layout = tsne.TSNEEmbedding(
        np.ascontiguousarray(start),
        affinities,
        negative_gradient_method="bh" if len(R) < 10_000 else "fft",
        n_jobs=1,
        random_state=run.seed,
    )
    total = sum(updates for updates, _, _ in _PHASES)
    with run.progress.step(f"{name}: layout", total) as step:

        def report(*_: Any) -> None:
            step.advance(_STRIDE)

        for updates, exaggeration, momentum in _PHASES:
            layout.optimize(
                updates,
                inplace=True,
                exaggeration=exaggeration,
                momentum=momentum,
                callbacks=report,
                callbacks_every_iters=_STRIDE,
            )
    xy = np.array(layout, np.float64)
    k = min(NEAR, near.shape[1])
    return Panel(name, xy, _kept(xy, near[:, :k]), float(layout.kl_divergence))


def _kept(xy: Double, near: Long) -> float:
    """Share of the neighbours (m, k) that are among the k nearest in two dimensions."""
    k = near.shape[1]
    _, near_on_map = cKDTree(xy).query(xy, k + 1)
    n_shared = 0
    pairs = zip(near.tolist(), near_on_map.tolist(), strict=True)
    for item, (by_response, on_map) in enumerate(pairs):
        # where several items lie in one place, the item itself need not be its own nearest
        others = [i for i in on_map if i != item][:k]
        n_shared += len(set(by_response) & set(others))
    return n_shared / near.size
