"""Maps as pictures, pages and tables."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.files import TABLES, check_table, write_table, write_whole
from shoal.kernels.arrays import Double
from shoal.maps.colouring import Colouring
from shoal.maps.item_map import ItemMap
from shoal.maps.page import page
from shoal.maps.palette import GREYS, hexes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure


ENDINGS = (".png", ".svg", ".html", *TABLES)

_SIDE = 6.5  # width of a panel in inches
_LETTERS = (40, 34, 28, 22, 16, 10)  # lengths to which a name in the legend is cut


def write_map(found: ItemMap, path: str | Path, *, guard_formulas: bool = False) -> Path:
    """Write a map in the format that the ending of the name says, whole or not at all.

    Parameters
    ----------
    found : ItemMap
        From `shoal.item_map`.
    path : str or Path
        ``.png`` or ``.svg`` for a picture; ``.html`` for a page with titles on hover, search and
        zoom that needs no network; ``.csv`` or ``.parquet`` for the coordinates.
    guard_formulas : bool
        In CSV, put ``'`` before texts that a spreadsheet would take for a formula.

    Returns
    -------
    Path

    Raises
    ------
    ArtifactError
        The name has another ending, its folder is not there, or the disk refuses.
    """
    path = check_map(path)
    if path.suffix in TABLES:
        return write_table(found.table(), path, guard_formulas=guard_formulas)
    if path.suffix == ".html":
        text = page(found)
        return write_whole(path, lambda to: to.write_text(text, encoding="utf-8"))
    return write_whole(path, lambda to: _save(figure(found), to, path.suffix[1:]))


def check_map(path: str | Path) -> Path:
    """Check before long work whether `write_map` would refuse a name.

    Raises
    ------
    ArtifactError
        The name has another ending, is a folder, or its folder is not there.
    """
    return check_table(path, ENDINGS)


def figure(item_map: ItemMap) -> Figure:
    """The panels side by side, with one legend or colour bar, as a matplotlib figure."""
    from matplotlib.figure import Figure

    colouring, n_panels = item_map.colouring, len(item_map.panels)
    columns = 2 * n_panels if colouring.name == "cluster" else 4 * n_panels
    rows = -(-len(colouring.groups) // columns)
    below = 0.5 + 0.24 * rows if rows else 0.7  # inches of the legend, or of the colour bar
    fig = Figure(figsize=(_SIDE * n_panels, _SIDE + 0.3 + below), layout="constrained")
    axes = fig.subplots(1, n_panels, squeeze=False)[0]
    size = float(np.clip(16_000 / len(item_map), 3, 60))
    dots: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.85}
    scale = None
    for ax, panel in zip(axes, item_map.panels, strict=True):
        ax.set_title(panel.name, parse_math=False, loc="left", fontsize=13)
        ax.set(xticks=[], yticks=[])
        ax.set_box_aspect(1)
        ax.spines[:].set_color("#cccccc")
        x, y = panel.xy.T
        (left, right), (low, high) = _square(x, y)
        ax.set(xlim=(left, right), ylim=(low, high))
        if colouring.values is None:
            _draw_groups(ax, x, y, colouring, dots)
        else:
            scale = _draw_scale(ax, x, y, colouring.values, dots)
    if scale is not None:
        bar = fig.colorbar(
            scale, ax=axes, location="bottom", shrink=min(1, 0.6 / n_panels), aspect=40, pad=0.02
        )
        bar.set_label(colouring.name, parse_math=False)
        bar.outline.set_visible(False)
    else:
        _legend(fig, colouring, columns)
    return fig


def _draw_groups(ax: Axes, x: Double, y: Double, colouring: Colouring, dots: Any) -> None:
    """Draw the items in the colours of their groups, grey ones below the others."""
    colours = np.array(hexes(colouring))[colouring.codes]
    order = np.argsort(colouring.codes < colouring.named, kind="stable")
    ax.scatter(x[order], y[order], c=colours[order].tolist(), **dots)


def _draw_scale(ax: Axes, x: Double, y: Double, values: Double, dots: Any) -> PathCollection:
    """Draw the items in the colours of a scale, grey where they have no value."""
    known = np.isfinite(values)
    ax.scatter(x[~known], y[~known], color=GREYS[1], **dots)
    limits: dict[str, Any] = {"vmin": np.nanmin(values), "vmax": np.nanmax(values)}
    return ax.scatter(x[known], y[known], c=values[known], cmap="viridis", **dots, **limits)


def _legend(fig: Figure, colouring: Colouring, columns: int) -> None:
    """Name the groups below the panels, with names as long as there is room for."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=7, color=c) for c in hexes(colouring)
    ]
    for length in _LETTERS:
        labels = [f"{_short(g, length)}  ({n:,})" for g, n in colouring.counts.items()]
        legend = fig.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=min(len(labels), columns),
            frameon=False,
            title=colouring.name,
            handletextpad=0.2,
            fontsize=9,
        )
        for text in (*legend.get_texts(), legend.get_title()):
            text.set_parse_math(False)  # "$" in a title is a dollar
        with _any_letters():
            fig.draw_without_rendering()
            width = legend.get_window_extent().width
        if width <= fig.bbox.width or length == _LETTERS[-1]:
            return
        legend.remove()


@contextlib.contextmanager
def _any_letters() -> Iterator[None]:
    """Warn of no letters that the font lacks: they become boxes here, and the page has them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def _short(text: str, length: int) -> str:
    """A text as one line of printable letters, cut to a length."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _square(x: Double, y: Double) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of both axes, equally long, with all points inside."""
    reach = 0.53 * max(np.ptp(x), np.ptp(y), 1e-9)
    middles = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
    (left, right), (low, high) = ((float(c - reach), float(c + reach)) for c in middles)
    return (left, right), (low, high)


def _save(fig: Figure, path: Path, kind: str) -> None:
    import matplotlib as mpl

    # without a date, the same map gives the same file
    # and says who made it: only such a file is replaced by a new map without being asked
    about: dict[str, Any] = {"Software": "shoal"}
    if kind == "svg":
        about = {"Date": None, "Creator": "shoal"}
    with _any_letters(), mpl.rc_context({"svg.hashsalt": "shoal"}):
        fig.savefig(path, format=kind, dpi=150, facecolor="white", metadata=about)
