"""Fixtures: a browser for each file of tests that wants one, and pages that are opened in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from xformer.benchmarks.page.browser import HOW, Visit, chromium, find_chromium, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the whole session: while Playwright runs, no other test of its process could use asyncio."""
    if find_chromium() is None:
        pytest.skip(f"found no Chromium; {HOW}")
    pytest.importorskip("playwright")
    with chromium() as opened:
        yield opened


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """Opens a file. In the end no page may have had an error, or have asked for anything."""
    visits: list[Visit] = []
    with ExitStack() as stack:

        def open_page(file: Path, **how: Any) -> Visit:
            found = stack.enter_context(visit(browser, file, **how))
            visits.append(found)
            return found

        yield open_page
        # A round to the browser and back, after which what it has said is here.
        for one in visits:
            one.page.evaluate("1")
    for one in visits:
        assert not one.errors, f"the console is to stay empty: {one.errors}"
        assert not one.requests, f"the page is one file: {one.requests}"
