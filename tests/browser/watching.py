"""What a browser complains about while a page is open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser.driver import BrowserContext, Page

# Reported on the console: what the policy refuses, and markup of a title that has become code.
# Summed: how far the content moved without being asked to (layout shift, as browsers count it).
SCRIPT = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.violatedDirective} refuses ${event.blockedURI}`);
});
Object.defineProperty(window, "ran", { set() { console.error("markup of a title ran as code"); } });
window.layoutShift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) window.layoutShift += entry.value;
  }
}).observe({ type: "layout-shift", buffered: true });
"""


class Faults:
    """Collects errors of pages: console, exceptions, refused by policy, requests that fail."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._expected: list[re.Pattern[str]] = []

    def expect(self, pattern: str) -> None:
        """Let pass what this test causes on purpose, such as a page that is not there."""
        self._expected.append(re.compile(pattern))

    def watch_context(self, context: BrowserContext) -> None:
        """Watch all pages of a context."""
        context.add_init_script(SCRIPT)
        context.on("page", self._watch)

    def _watch(self, page: Page) -> None:
        page.on("console", lambda message: self._hear(message.type, message.text, page))
        page.on("pageerror", lambda error: self._add(f"exception: {error}", page))
        page.on("requestfailed", lambda request: self._failed(request.url, request.failure, page))
        page.on("response", lambda answer: self._answered(answer.url, answer.status, page))

    def _hear(self, kind: str, text: str, page: Page) -> None:
        # what an answer's status says is noted with its address by `_answered`
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            self._add(f"console {kind}: {text}", page)

    def _failed(self, url: str, failure: str | None, page: Page) -> None:
        # a script gives up a search when the next letter comes; a link leaves a page that loads
        if "ERR_ABORTED" not in (failure or ""):
            self._add(f"request failed ({failure}): {url}", page)

    def _answered(self, url: str, status: int, page: Page) -> None:
        if status >= 400:
            self._add(f"status {status}: {url}", page)

    def _add(self, text: str, page: Page) -> None:
        if not any(pattern.search(text) for pattern in self._expected):
            self.seen.append(f"{page.url}: {text}")

    def check(self) -> None:
        """Fail if there was any."""
        assert not self.seen, "\n".join(self.seen)
