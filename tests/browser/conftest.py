"""A real browser, real services of an invented shop, and pages that may not complain."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import shoal
from benchmarks.harness.browser import chromium
from shoal.artifact import Store, save
from shoal.models.registry import create
from tests.browser import catalogue
from tests.browser.watching import Faults
from tests.service.processes import Process

if TYPE_CHECKING:
    from tests.browser.driver import Browser, Locator, Page

READ_KEY, ADMIN_KEY = "read-key-0123456789", "admin-key-0123456789"

Open = Callable[..., "Page"]


@dataclass(frozen=True)
class Shop:
    """The files that the services serve."""

    folder: Path
    store: Store

    @property
    def events(self) -> Path:
        """The database of events."""
        return self.folder / "events.db"

    def serve(self, name: str, *arguments: object, ready: int = 200, **keys: str) -> Process:
        """Start `shoal serve`, and wait until it answers as it will."""
        place = self.folder / name
        place.mkdir()
        process = Process(place, *arguments, "--log-level", "error", OMP_NUM_THREADS="1", **keys)
        process.until(lambda: process.get("/ready").status_code == ready)
        return process


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Fitted models of the invented shop, and events of its people."""
    folder = tmp_path_factory.mktemp("shop")
    log, run = catalogue.log(), catalogue.ONE_THREAD
    versions = [shoal.EASE(l2=l2).fit(log, None, run) for l2 in (60.0, 20.0)]
    store = catalogue.make_store(folder / "store", *versions)
    sparse = {"factors": 16, "nonzeros": 4, "n_epochs": 12, "pruning": 6}
    save(create("compressed-elsa", sparse).fit(log, None, run), folder / "sparse")
    save(create("mult-dae", {"n_epochs": 1}).fit(log, None, run), folder / "deep")
    save(shoal.EASE(l2=20.0).fit(catalogue.log(titled=False), None, run), folder / "bare")
    catalogue.make_events(folder / "events.db")
    (folder / "experiment.yaml").write_text(catalogue.EXPERIMENT)
    return Shop(folder, store)


def ended(process: Process) -> Iterator[str]:
    """The address of a service, which is stopped afterwards."""
    yield process.url
    process.end(signal.SIGKILL)


@pytest.fixture(scope="session")
def full(shop: Shop) -> Iterator[str]:
    """The service that has all: two versions, two live models, titles, events, an experiment."""
    yield from ended(
        shop.serve(
            "full", shop.store.path, "--also", f"sparse={shop.folder / 'sparse'}",
            "--events", shop.events, "--experiment", shop.folder / "experiment.yaml",
        )
    )  # fmt: skip


@pytest.fixture(scope="session")
def bare(shop: Shop) -> Iterator[str]:
    """A single model folder without titles, and no events."""
    yield from ended(shop.serve("only-model", shop.folder / "bare"))


@pytest.fixture(scope="session")
def deep(shop: Shop) -> Iterator[str]:
    """A model that gives no reasons."""
    yield from ended(shop.serve("no-reasons", shop.folder / "deep"))


@pytest.fixture(scope="session")
def modelless(shop: Shop) -> Iterator[str]:
    """A store in which no version is yet."""
    store = Store(shop.folder / "empty-store", create=True)
    yield from ended(shop.serve("no-model", store.path, ready=503))


@pytest.fixture(scope="session")
def locked(shop: Shop) -> Iterator[str]:
    """A service with a key for reading and one for changing; tests may change it."""
    shutil.copytree(shop.store.path, shop.folder / "locked-store", symlinks=True)
    catalogue.make_events(shop.folder / "locked.db")
    yield from ended(
        shop.serve(
            "locked", shop.folder / "locked-store", "--events", shop.folder / "locked.db",
            "--also", f"sparse={shop.folder / 'sparse'}",
            "--experiment", shop.folder / "experiment.yaml",
            SHOAL_READ_KEY=READ_KEY, SHOAL_ADMIN_KEY=ADMIN_KEY,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the tests of a file.

    Not of all files: while Playwright's client is open, no other test of the process could run an
    event loop of its own.
    """
    from tests.browser.driver import skip_without_browser

    skip_without_browser()
    with chromium("--disable-dev-shm-usage") as opened:
        yield opened


@pytest.fixture
def faults() -> Faults:
    """What pages of this test complain about; the test fails if there is anything."""
    return Faults()


@pytest.fixture
def open_page(browser: Browser, faults: Faults) -> Iterator[Open]:
    """Opens an address in a window of its own; the test fails if a page complains."""
    from tests.browser.driver import SECONDS

    contexts = []

    def open_(
        address: str, *, width: int = 1440, dark: bool = False, scripts: bool = True,
        key: str | None = None, **options: Any,
    ) -> Page:  # fmt: skip
        if key is not None:
            options["http_credentials"] = {"username": "me", "password": key}
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(SECONDS * 1000)
        contexts.append(context)
        faults.watch_context(context)
        page = context.new_page()
        page.goto(address)
        return page

    yield open_
    for context in contexts:
        context.close()
    faults.check()


def tab_to(page: Page, target: Locator, backwards: bool = False) -> None:
    """Press Tab until an element has the focus, as somebody without a mouse does."""
    expect_one = target.element_handle()
    for _ in range(100):
        if page.evaluate("(element) => document.activeElement === element", expect_one):
            return
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
    raise AssertionError(f"Tab does not reach {target}")
