"""The attention page in a browser: the fixture `show`, and what tests read from what is shown."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from tests.browsing import Open
from tests.inspect.page.fake import FakeTrace
from xformer.inspect.page.build import page_of

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PAIR = re.compile(r"^“.*” \(([\d+]+)\) → “.*” \(([\d+]+)\): ([\d.e-]+)")

Show = Callable[..., "Page"]


@pytest.fixture
def show(tmp_path: Path, opened: Open) -> Show:
    """Opens the page of a trace, and waits until its first head is drawn."""

    def show_page(*traces: FakeTrace, languages: tuple[str, ...] = (), **how: Any) -> Page:
        file = tmp_path / "page.html"
        file.write_text(page_of(*traces, languages=languages), encoding="utf-8")
        page = opened(file, **how).page
        page.wait_for_selector(".head-title:not(:empty)")
        settle(page)
        return page

    return show_page


def settle(page: Page, frames: int = 2) -> None:
    """Wait for some frames. In the first the state is drawn; what is decoded for it may take one more."""
    page.evaluate(
        """async frames => {
          for (let frame = 0; frame < frames; frame++) await new Promise(requestAnimationFrame);
        }""",
        frames,
    )


def weights_of(trace: FakeTrace, layer: int = 0, text: int = 0) -> Tensor:
    return trace.weights[f"layers.{layer}.attn.weights"][text]


def told(page: Page) -> str:
    """The line below the head's title, without the marks that keep texts of other directions apart."""
    return re.sub("[\u2068\u2069]", "", page.text_content(".readout") or "")


def read(page: Page) -> tuple[str, str, float] | None:
    """Query, key and weight of the line below the head's title."""
    found = PAIR.match(told(page))
    return (found[1], found[2], float(found[3])) if found else None


def control(page: Page, label: str) -> Locator:
    """A choice of the toolbar that is open."""
    named = page.locator(".toolbar label:visible").filter(has_text=re.compile(f"^{label}"))
    return named.locator("select")


def choose(page: Page, label: str, option: str) -> None:
    control(page, label).select_option(option)
    settle(page)


def wait_for_head(page: Page, title: str) -> None:
    """A head that was never looked at is decoded first."""
    page.locator(".head-title", has_text=title).wait_for()
    settle(page)


def saved(page: Page, kind: str, part: str = "One head") -> bytes:
    with page.expect_download() as download:
        page.get_by_role("region", name=part).get_by_role("button", name=kind).click()
    return Path(download.value.path()).read_bytes()


def table_of(page: Page, part: str = "One head") -> list[list[str]]:
    return list(csv.reader(io.StringIO(saved(page, "CSV", part).decode("utf-8-sig"))))


def numbers_of(page: Page) -> Tensor:
    """The weights between the units that are shown, from the file that the page saves."""
    return torch.tensor([[float(cell) for cell in row[1:]] for row in table_of(page)[1:]])
