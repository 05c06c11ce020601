"""Chromium on this machine, driven by Playwright: opens the pages that are tested, measured and drawn."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xformer.errors import InputError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Programs that are looked for, in this order."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Of the browser itself nothing is to reach the network, and containers have neither sandbox nor GPU."""
PATIENCE_S = 10
"""Seconds after which something that a page should show is no longer waited for."""
HOW = "install one with `apt-get install chromium`, or set XFORMER_CHROMIUM to its path"


@dataclass
class Visit:
    """A page that was opened, and what it did since.

    Attributes:
        page: Playwright's own.
        errors: errors and warnings of the console, and exceptions that nothing caught.
        requests: addresses that were asked for, after the page's own.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def find_chromium() -> str | None:
    """The path of Chromium: XFORMER_CHROMIUM, or the first of `NAMES` on the path; None if there is none.

    Raises:
        InputError: XFORMER_CHROMIUM names no program.
    """
    named = os.environ.get("XFORMER_CHROMIUM")
    if named:
        if shutil.which(named) is None:
            raise InputError(f"XFORMER_CHROMIUM: expected a program, got {named!r}")
        return named
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser with a profile of its own, which goes when the block ends.

    While it is open, asyncio cannot start another loop in this thread: Playwright has one running.

    Raises:
        InputError: there is no Chromium, or no Playwright.
    """
    path = find_chromium()
    if path is None:
        raise InputError(f"found no Chromium ({', '.join(NAMES)}); {HOW}")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        raise InputError("Playwright is missing; install it with `pip install 'xformer[dev]'`") from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def wait_until(page: Page, expression: str) -> None:
    """Wait until a JavaScript expression is true. Playwright's own way is `eval`, which our pages forbid.

    Raises:
        TimeoutError: it never was.
    """
    until = time.monotonic() + PATIENCE_S
    while not page.evaluate(expression):
        if time.monotonic() > until:
            raise TimeoutError(f"expected in {PATIENCE_S} s: {expression}")
        page.wait_for_timeout(20)


@contextmanager
def visit(
    browser: Browser,
    file: Path,
    *,
    fragment: str = "",
    theme: Literal["light", "dark"] = "light",
    size: tuple[int, int] = (1280, 800),
    script: str = "",
    **options: Any,
) -> Iterator[Visit]:
    """Open a file in a window of its own.

    Args:
        browser: from `chromium`.
        file: HTML.
        fragment: what follows `#` in the address.
        theme: that the system prefers.
        size: width and height of the window, CSS pixels.
        script: runs before any of the page's.
        options: more of Playwright's for a context, such as `device_scale_factor`.
    """
    address = file.resolve().as_uri()
    context = browser.new_context(
        color_scheme=theme, viewport={"width": size[0], "height": size[1]}, accept_downloads=True, **options
    )
    try:
        context.set_default_timeout(1000 * PATIENCE_S)
        page = context.new_page()
        found = Visit(page)

        def listen(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning", "assert"):
                found.errors.append(message.text)

        def count(url: str) -> None:
            # What the page made itself, such as a file to save, is no request.
            if not url.startswith((address, "data:", "blob:")):
                found.requests.append(url)

        page.on("console", listen)
        page.on("pageerror", lambda error: found.errors.append(str(error)))
        page.on("request", lambda request: count(request.url))
        if script:
            page.add_init_script(script)
        page.goto(f"{address}#{fragment}" if fragment else address)
        yield found
    finally:
        context.close()
