"""Maps as pictures, pages and tables."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.errors import ArtifactError
from shoal.files import TABLES, check_table, replacing, write_table
from shoal.kernels.arrays import Double
from shoal.maps.item_map import ItemMap
from shoal.maps.page import page
from shoal.maps.palette import GREYS, hexes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


ENDINGS = (".png", ".svg", ".html", *TABLES)

_SIDE = 6.5  # inches of a panel
_LETTERS = (40, 34, 28, 22, 16, 10)  # of a name in the legend, at most


def write_map(found: ItemMap, path: str | Path) -> Path:
    """Write a map in the form that the name's ending says, whole or not at all.

    Parameters
    ----------
    found : ItemMap
    path : str or Path
        ``.png`` or ``.svg`` for a picture; ``.html`` for a page with titles on hover, search and
        zoom that needs no network; ``.csv`` or ``.parquet`` for the coordinates.

    Returns
    -------
    Path

    Raises
    ------
    ArtifactError
        Another ending, no such folder, or the disk refuses.
    """
    path = check_map(path)
    if path.suffix in TABLES:
        return write_table(found.table(), path)
    if path.suffix == ".html":
        text = page(found)
        return _whole(path, lambda to: to.write_text(text, encoding="utf-8"))
    return _whole(path, lambda to: _save(figure(found), to, path.suffix[1:]))


def check_map(path: str | Path) -> Path:
    """Say before long work whether `write_map` would refuse this name, by an ArtifactError."""
    return check_table(path, ENDINGS)


def figure(found: ItemMap) -> Figure:
    """The panels side by side, with one legend or colour bar, as a matplotlib figure."""
    from matplotlib.figure import Figure

    colouring, n_panels = found.colouring, len(found.panels)
    columns = 2 * n_panels if colouring.name == "cluster" else 4 * n_panels
    rows = -(-len(colouring.groups) // columns)
    below = 0.5 + 0.24 * rows if rows else 0.7  # inches of the legend, or of the colour bar
    fig = Figure(figsize=(_SIDE * n_panels, _SIDE + 0.3 + below), layout="constrained")
    axes = fig.subplots(1, n_panels, squeeze=False)[0]
    size = float(np.clip(16_000 / len(found), 3, 60))
    scale = None
    for ax, panel in zip(axes, found.panels, strict=True):
        ax.set_title(panel.name, parse_math=False, loc="left", fontsize=13)
        ax.set(xticks=[], yticks=[])
        ax.set_box_aspect(1)
        ax.spines[:].set_color("#cccccc")
        dots: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.85}
        x, y = panel.xy.T
        (left, right), (low, high) = _square(x, y)
        ax.set(xlim=(left, right), ylim=(low, high))
        if colouring.values is not None:
            known = np.isfinite(colouring.values)
            ax.scatter(x[~known], y[~known], color=GREYS[1], **dots)
            dots |= {"vmin": np.nanmin(colouring.values), "vmax": np.nanmax(colouring.values)}
            scale = ax.scatter(
                x[known], y[known], c=colouring.values[known], cmap="viridis", **dots
            )
        else:
            colours = np.array(hexes(colouring))[colouring.codes]
            order = np.argsort(colouring.codes < colouring.named, kind="stable")  # grey below
            ax.scatter(x[order], y[order], c=colours[order].tolist(), **dots)
    if scale is not None:
        bar = fig.colorbar(
            scale, ax=axes, location="bottom", shrink=min(1, 0.6 / n_panels), aspect=40, pad=0.02
        )
        bar.set_label(colouring.name, parse_math=False)
        bar.outline.set_visible(False)
    else:
        _legend(fig, found, columns)
    return fig


def _legend(fig: Figure, found: ItemMap, columns: int) -> None:
    from matplotlib.lines import Line2D

    colouring = found.colouring
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=7, color=c) for c in hexes(colouring)
    ]
    for most in _LETTERS:  # the longest names that fit
        labels = [f"{_short(g, most)}  ({n:,})" for g, n in colouring.counts.items()]
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
        if width <= fig.bbox.width or most == _LETTERS[-1]:
            return
        legend.remove()


@contextlib.contextmanager
def _any_letters() -> Iterator[None]:
    """Letters that the font lacks become boxes without a word; the page has them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def _short(text: str, most: int) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _square(x: Double, y: Double) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of both axes, equally long, with all points inside."""
    reach = 0.53 * max(np.ptp(x), np.ptp(y), 1e-9)
    middles = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
    (left, right), (low, high) = ((float(c - reach), float(c + reach)) for c in middles)
    return (left, right), (low, high)


def _save(fig: Figure, path: Path, kind: str) -> None:
    import matplotlib as mpl

    still: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {}
    with _any_letters(), mpl.rc_context({"svg.hashsalt": "shoal"}):
        fig.savefig(path, format=kind, dpi=150, facecolor="white", **still)


def _whole(path: Path, write: Callable[[Path], Any]) -> Path:
    try:
        with replacing(path) as unfinished:
            write(unfinished)
    except OSError as error:
        raise ArtifactError(f"{path} could not be written ({error})") from error
    return path
