"""How soon the pages are painted, and how soon a search answers while somebody types: pages.md.

    python benchmarks/serving/pages.py run             # a few minutes; the first time makes a model
    python benchmarks/serving/pages.py run --short     # a small catalogue, to try the script
    python benchmarks/serving/pages.py render

Needs Chromium (on PATH, or named by SHOAL_BROWSER) and Playwright's client.

*First paint* is what the browser itself reports as ``first-contentful-paint``, from the beginning
of the navigation, on the loopback: *cold* in a new profile, with an empty cache and no connection,
*warm* in a window that has shown the page before. The service is that of `make serve-demo`, with
its models and what its people did; they do nothing meanwhile.

*Search* is asked on a catalogue of 200,000 items with titles of three to five words, for texts as
they arise while titles are typed, each once. *HTTP* is the time until the whole answer is there,
asked one after the other on one connection. *In the browser* is the time from the letter (the
event ``input``) until the new results stand in the page, which includes the pause of 120 ms in
which the page waits for a further letter.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np
import polars as pl

import shoal
from shoal.models.registry import create

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.browser import chromium
from benchmarks.harness.data import CACHE
from benchmarks.harness.results import Results, Row
from benchmarks.serving.services import Service, about, running, shoal_service

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
LEAST = "/live"  # one line of text without styles: what browser and machine need by themselves
PAUSE = 120  # milliseconds that the page waits for a further letter
REPEATS = 11
GOALS = {"paint": 200.0, "search": 50.0}  # milliseconds
SIZES = {"full": (50_000, 200_000, 2_000_000, 300), "short": (2_000, 1_000, 30_000, 40)}
SYLLABLES = tuple(a + b for a in "bcdfghjklmnprstvwyz" for b in "aeiou")
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
ANSWERED = "() => performance.getEntriesByType('navigation')[0].responseStart"
# Notes the time from each input to the results that belong to it, painted or not.
LISTEN = """() => {
  window.waits = [];
  let began = null;
  document.addEventListener("input", () => { began = performance.now(); }, true);
  document.addEventListener("swapped", () => {
    if (began !== null) window.waits.push(performance.now() - began);
    began = null;
  });
}"""


# --- what is served ---------------------------------------------------------------------------
def titles(n_items: int) -> list[str]:
    """Invented titles, of three to five words each."""
    rng = np.random.default_rng(3)
    parts = rng.integers(0, len(SYLLABLES), (4_000, 3))
    words = ["".join(SYLLABLES[i] for i in row[: 2 + n % 2]) for n, row in enumerate(parts)]
    chosen = rng.integers(0, len(words), (n_items, 5))
    return [" ".join(words[i] for i in row[: 3 + n % 3]).title() for n, row in enumerate(chosen)]


def large_model(size: str) -> Path:
    """The folder of item-kNN on a synthetic log of many items, made where it is missing."""
    n_users, n_items, n_interactions, _ = SIZES[size]
    folder = CACHE / "serving" / f"pages-{size}"
    model = folder / "model"
    if not model.exists():
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "log.parquet"
        log.unlink(missing_ok=True)
        shoal.generate(log, n_users, n_items, n_interactions)
        frame = pl.read_parquet(log).with_columns(pl.format("i{}", pl.col("item")).alias("item"))
        items = pl.DataFrame({"item": [f"i{n}" for n in range(n_items)], "title": titles(n_items)})
        fitted = create("item-knn", {}).fit(shoal.read(frame, items=items))
        shoal.save(fitted, model)
        log.unlink()
        print(f"fitted {fitted.n_items:,} items", flush=True)
    return model


def demo_service(size: str) -> Service:
    """The service of `make serve-demo`."""
    folder = CACHE / "serving" / f"pages-demo-{size}"
    command = [
        sys.executable,
        "-m",
        "shoal",
        "demo",
        "--serve",
        "--no-traffic",
        "--to",
        str(folder),
    ]
    return Service([*command, "--port", "{port}"], {"method": "GET", "path": "/ready"})


# --- the browser ------------------------------------------------------------------------------
def page_paths(page: Page, url: str) -> list[str]:
    """The addresses of all pages that the service declares, with an example of each parameter."""
    from shoal.service.routes import all_endpoints

    declared = [e.path for e in all_endpoints() if e.page and e.method == "GET"]
    declared = [path for path in declared if path != "/docs" and not path.endswith(".json")]
    plain = [path for path in declared if "{" not in path]
    found = list(plain)
    for path in declared:
        prefix = path.partition("{")[0]
        if prefix == path:
            continue
        for start in plain:  # the first link of this kind on any page
            page.goto(url + start)
            link = page.locator(f'a[href^="{prefix}"]').first
            if link.count():
                found.append(str(link.get_attribute("href")))
                break
    return found


def painted(page: Page, address: str) -> tuple[float, float]:
    """Milliseconds until the first byte and until the first paint of a navigation."""
    page.goto(address, wait_until="load")
    end = time.monotonic() + 20
    while (paint := page.evaluate(PAINT)) is None:
        if time.monotonic() > end:
            raise SystemExit(f"{address} was not painted")
        page.evaluate("() => new Promise(requestAnimationFrame)")
    return float(page.evaluate(ANSWERED)), float(paint)


def paints(opened: Browser, url: str) -> dict[str, Row]:
    """First paints of each page, in a new profile and in a window that knows the page."""
    asking = opened.new_page(viewport={"width": 1440, "height": 900})
    paths = page_paths(asking, url)
    asking.goto(url + "/steer")
    while asking.locator("#preparing").count():  # the knobs, which are made once
        asking.wait_for_timeout(500)
        asking.reload()
    asking.context.close()
    rows: dict[str, Row] = {}
    for path in [LEAST, *paths]:
        cold = []
        for _ in range(REPEATS):
            context = opened.new_context(viewport={"width": 1440, "height": 900})
            cold.append(painted(context.new_page(), url + path))
            context.close()
        context = opened.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        painted(page, url + path)
        warm = [painted(page, url + path) for _ in range(REPEATS)]
        context.close()
        rows[path] = {
            name: {"median": float(np.median(ms)), "worst": float(max(ms))}
            for name, ms in (
                ("cold", [paint for _, paint in cold]),
                ("warm", [paint for _, paint in warm]),
                ("answer", [first for first, _ in warm]),
            )
        }
        print(path, rows[path], flush=True)
    return rows


# --- the search -------------------------------------------------------------------------------
def typed_texts(n_items: int, n_texts: int) -> list[str]:
    """Beginnings of titles, of 2 to 14 letters, as they arise while somebody types."""
    rng = np.random.default_rng(5)
    known = titles(n_items)
    chosen = [known[i] for i in rng.integers(0, n_items, 4 * n_texts)]
    lengths = rng.integers(2, 15, len(chosen))
    texts = dict.fromkeys(t[:n].strip().lower() for t, n in zip(chosen, lengths, strict=True))
    return [text for text in texts if len(text) > 1][:n_texts]


def summary(milliseconds: list[float]) -> Row:
    """Median, 99th percentile and maximum."""
    return {
        "median": float(np.median(milliseconds)),
        "p99": float(np.percentile(milliseconds, 99)),
        "worst": float(max(milliseconds)),
        "n": len(milliseconds),
    }


def over_http(port: int, address: str, name: str, texts: list[str]) -> Row:
    """Milliseconds of the answers to a form that sends each text under this name."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken = []
    for text in ["warm up", *texts]:
        joint = "&" if "?" in address else "?"
        began = time.perf_counter()
        connection.request("GET", f"{address}{joint}{urlencode({name: text})}")
        answer = connection.getresponse()
        answer.read()
        taken.append(1e3 * (time.perf_counter() - began))
        if answer.status != 200:
            raise SystemExit(f"{address}: status {answer.status} for {text!r}")
    connection.close()
    return summary(taken[1:])


def in_browser(opened: Browser, url: str, texts: list[str]) -> Row:
    """Milliseconds from a letter to the results that belong to it."""
    page = opened.new_page(viewport={"width": 1440, "height": 900})
    page.goto(url + "/")
    page.evaluate(LISTEN)
    search = page.locator("input[type=search]").first
    for n, text in enumerate(texts, 1):
        search.evaluate("(e, text) => { e.value = text; }", text[:-1])
        search.press_sequentially(text[-1])
        page.wait_for_function("(n) => window.waits.length >= n", arg=n, timeout=60_000)
    waits = page.evaluate("window.waits")
    page.context.close()
    return summary(waits)


def searches(opened: Browser, size: str) -> Row:
    """The search on the large catalogue."""
    n_items, n_texts = SIZES[size][1], SIZES[size][3]
    texts = typed_texts(n_items, n_texts)
    with running(shoal_service(large_model(size))) as service:
        url = f"http://127.0.0.1:{service.port}"
        page = opened.new_page()
        page.goto(url + "/")
        field = page.locator("input[type=search]").first
        name = field.get_attribute("name")
        part = field.evaluate("(e) => e.form.dataset.part || ''")  # what its script asks for
        page.context.close()
        start = f"/?part={part}" if part else "/"
        row: Row = {
            "items": n_items,
            "texts": len(texts),
            "page": over_http(service.port, start, str(name), texts),
            "whole": over_http(service.port, "/?history=i1,i2,i3", str(name), texts),
            "api": over_http(service.port, "/v1/items?limit=20", "search", texts),
            "browser": in_browser(opened, url, texts[: max(20, n_texts // 5)]),
        }
        row["paints"] = paints(opened, url) if size == "full" else {}
    return row


# --- the page ---------------------------------------------------------------------------------
def run(results: Results, size: str) -> None:
    """Measure both."""
    with chromium() as opened:
        load = os.getloadavg()[0]
        with running(demo_service(size)) as service:
            rows = paints(opened, f"http://127.0.0.1:{service.port}")
        results.save("paint", {"pages": rows, "load_before": load, "browser": opened.version})
        load = os.getloadavg()[0]
        results.save("search", searches(opened, size) | {"load_before": load})
    results.save("about", about() | {"niceness": os.nice(0)})


def verdict(value: float, goal: float) -> str:
    """Whether a goal is met."""
    return "met" if value <= goal else "**missed**"


def paint_table(pages: dict[str, Row]) -> str:
    """A row for each page."""
    text = (
        "| page | first byte (warm) | cold: median | worst | warm: median | worst |"
        f" ≤ {GOALS['paint']:.0f} ms |\n|---|---|---|---|---|---|---|\n"
    )
    for path, row in sorted(pages.items(), key=lambda item: (item[0] != LEAST, item[0])):
        cells = [row["answer"]["median"]]
        cells += [row[part][figure] for part in ("cold", "warm") for figure in ("median", "worst")]
        shown = " | ".join(f"{value:.0f}" for value in cells)
        slower = max(row["cold"]["median"], row["warm"]["median"])
        name = "one line of text, to compare" if path == LEAST else f"`{path}`"
        met = "" if path == LEAST else verdict(slower, GOALS["paint"])
        text += f"| {name} | {shown} | {met} |\n"
    return text


def render(results: Results) -> str:
    """The page."""
    text = (
        "# The pages, measured\n\nWritten by `benchmarks/serving/pages.py`; no figure here is "
        "typed by hand. The script says at its top how it measures.\n\n"
        "    python benchmarks/serving/pages.py run\n"
    )
    paint, search, machine = (results.get(name) for name in ("paint", "search", "about"))
    if machine is not None:
        text += f"\n{machine['processor']}, {machine['cores']} cores, shoal {machine['shoal']}"
        text += f", Chromium {paint['browser']}.\n" if paint else ".\n"
        if machine.get("niceness"):
            text += (
                f"Service and browser ran with niceness {machine['niceness']}, as other programs "
                "used the same cores.\n"
            )
    if paint is not None:
        text += "\n## First paint, milliseconds: the service of `make serve-demo`\n\n"
        text += paint_table(paint["pages"])
        text += f"\nLoad of the machine before: {paint['load_before']:.2f}.\n"
    if search is not None:
        text += (
            f"\n## Search while typing, milliseconds: {search['items']:,} items, "
            f"{search['texts']} texts\n\n"
            "| what is asked | median | p99 | worst | goal |\n|---|---|---|---|---|\n"
        )
        asked = {
            "api": ("`GET /v1/items?search=…`, 20 rows", GOALS["search"]),
            "page": ("the list of the page `/`, as its script asks for it", GOALS["search"]),
            "whole": ("the whole page, with a history of three items and its list", None),
            "browser": (f"from the letter to the results, {PAUSE} ms of it a pause", None),
        }
        for key, (name, goal) in asked.items():
            row = search[key]
            said = "" if goal is None else f"≤ {goal:.0f}: {verdict(row['median'], goal)}"
            cells = " | ".join(f"{row[figure]:.1f}" for figure in ("median", "p99", "worst"))
            text += f"| {name} | {cells} | {said} |\n"
        text += f"\nLoad of the machine before: {search['load_before']:.2f}.\n"
        if search["paints"]:
            text += f"\n## First paint with {search['items']:,} items, milliseconds\n\n"
            text += paint_table(search["paints"])
    return text


def main() -> None:
    """Run, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["run", "render"])
    parser.add_argument("--short", action="store_true", help="a small catalogue")
    parser.add_argument("--results", type=Path, default=HERE, help="folder of results and page")
    given = parser.parse_args()
    results = Results(given.results / "pages.jsonl")
    if given.part == "run":
        run(results, "short" if given.short else "full")
    page = render(results)
    (given.results / "pages.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
