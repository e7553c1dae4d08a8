"""Make the pictures of the pages that the README and docs show: the demo's service, and a report.

    python docs/screenshots.py                              # starts the demo's service itself
    python docs/screenshots.py --url http://127.0.0.1:8000  # one that runs already
    python docs/screenshots.py --report                     # runs an experiment on the demo's films
    python docs/screenshots.py --report RUN                 # the report of a run that is there

Needs Chromium (on PATH, or named by SHOAL_BROWSER) and Playwright's client. The pictures go to
docs/images/ with 256 colours at most; one above 300 KB is refused.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds benchmarks/
from benchmarks.harness.browser import chromium
from benchmarks.serving.services import Service, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).parent / "images"
LARGEST = 300_000  # bytes of a picture
TASTES = ("nurse barnacle closes", "love story in flour", "polynya")  # words of the demo's titles


@dataclass(frozen=True)
class Shot:
    """One picture: a page, how wide the window is, and whether it is dark."""

    name: str
    path: str
    width: int
    height: int
    dark: bool


def shots(url: str) -> list[Shot]:
    """The pictures, with items and people that the service has."""
    items = [first_item(url, word) for word in TASTES]
    history = ",".join(item for item in items if item)
    tried = urlencode({"history": history, "models": "main,neighbours"})
    return [
        Shot("try-light", f"/?{tried}", 1440, 1000, dark=False),
        Shot("steer-dark", f"/steer?{urlencode({'history': history})}", 1440, 1200, dark=True),
        Shot("models-light", "/models", 1440, 900, dark=False),
        Shot("online-light", "/online", 1440, 900, dark=False),
    ]


EXPERIMENT = """
name: films
description: Linear and deep models on the demo's invented films
data: {name: demo, file: ratings.parquet, items: films.parquet}
split: {kind: strong, test: 0.1, validation: 0.1}
seeds: 2
models:
  - popularity
  - item-knn
  - ease
  - edlae
  - rdlae
  - {name: elsa, model: elsa, set: {n_epochs: 10}}
  - {name: mult-vae, model: mult-vae, set: {n_epochs: 15}}
  - {name: mult-dae, model: mult-dae, set: {n_epochs: 15}}
tuning: {trials: 6, metric: ndcg@100}
evaluation:
  metrics: [ndcg@100, recall@20, "ndcg@100:head", "ndcg@100:tail", coverage@100, novelty@100]
run: {threads: 1}
output: {models: none, report: true}
"""


def report_shots() -> list[Shot]:
    """The pictures of a report."""
    return [
        Shot("report-light", "", 1280, 1150, dark=False),
        Shot("report-cost-dark", "#d1-costs", 1280, 620, dark=True),
    ]


@contextmanager
def demo_report() -> Iterator[str]:
    """The address of the report of a run on the demo's films, which is made."""
    from shoal.datasets.demo import demo_frames

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ratings, films = demo_frames()
        ratings.write_parquet(folder / "ratings.parquet")
        films.write_parquet(folder / "films.parquet")
        (folder / "experiment.yaml").write_text(EXPERIMENT, encoding="utf-8")
        command = [sys.executable, "-m", "shoal", "run", "experiment.yaml", "--out", "run"]
        subprocess.run(command, cwd=folder, check=True)  # noqa: S603
        yield (folder / "run" / "report.html").as_uri()


def first_item(url: str, words: str) -> str:
    """The id of the most popular item whose title has these words; of all, where none has."""
    for search in (words, ""):
        address = f"{url}/v1/items?{urlencode({'search': search, 'limit': 1})}"
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310
            rows: list[dict[str, Any]] = json.load(answer)["items"]
        if rows:
            return str(rows[0]["item"])
    raise SystemExit(f"{url} has no items")


@contextmanager
def demo_service() -> Iterator[str]:
    """The address of the demo's service, which is made and started."""
    command = [sys.executable, "-m", "shoal", "demo", "--serve", "--port", "{port}"]
    ready = {"method": "GET", "path": "/ready"}
    # run in a folder of its own, so that pictures show the path that readers will have
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Service(command, ready, cwd=Path(folder))) as service,
    ):
        yield f"http://127.0.0.1:{service.port}"


def prepare(page: Page, shot: Shot) -> None:
    """Wait until the page shows what the picture is of."""
    if shot.path.startswith("/steer"):
        while page.locator("#preparing").count():
            page.wait_for_timeout(1_000)
            page.reload()
        for number, level in ((0, "0.5"), (1, "-0.5")):
            page.locator("input[type=range]").nth(number).fill(level)
        page.get_by_text("as good to the model").first.wait_for()
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.wait_for_load_state("load")
    if page.locator("[data-chart]").count():
        page.locator("[data-chart]:visible svg").last.wait_for()


def picture(opened: Browser, url: str, shot: Shot) -> bytes:
    """A page as a PNG of few colours."""
    context = opened.new_context(
        viewport={"width": shot.width, "height": shot.height},
        device_scale_factor=1.5,
        color_scheme="dark" if shot.dark else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(url + shot.path)
    prepare(page, shot)
    raw = page.screenshot()
    context.close()
    whole = Image.open(io.BytesIO(raw)).convert("RGB")
    for colours in (256, 128, 64):
        small = io.BytesIO()
        whole.quantize(colours, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        if small.tell() <= LARGEST:
            return small.getvalue()
    raise SystemExit(f"{shot.name} is larger than {LARGEST:,} bytes")


def main() -> None:
    """Write all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a service that runs already; otherwise the demo's is made")
    parser.add_argument(
        "--report", nargs="?", const="", help="the pictures of a report alone: of a run's folder"
    )
    parser.add_argument("--only", help="names of pictures, with commas")
    parser.add_argument("--out", type=Path, default=IMAGES)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.report is None:
        source = nullcontext(given.url.rstrip("/")) if given.url else demo_service()
    elif given.report:
        source = nullcontext((Path(given.report) / "report.html").resolve().as_uri())
    else:
        source = demo_report()
    with chromium() as opened, source as url:
        for shot in shots(url) if given.report is None else report_shots():
            if given.only and shot.name not in given.only.split(","):
                continue
            content = picture(opened, url, shot)
            (given.out / f"{shot.name}.png").write_bytes(content)
            print(f"{shot.name}: {len(content):,} bytes", flush=True)


if __name__ == "__main__":
    main()
