"""The deeper views in a browser: a weight's arithmetic adds up, and each view fits a narrow, dark window."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

from tests.browsing import Open
from tests.inspect.page.shown import settle
from tests.inspect.page.small import small_subject
from xformer.benchmarks.page.browser import wait_until
from xformer.inspect.page.film import Frame
from xformer.inspect.page.make import make_page
from xformer.inspect.page.parts import KEEP, extras

pytestmark = pytest.mark.slow

TEXTS = ["abc deaf", "fab cage"]
VIEWS = ("arithmetic", "lens", "ablation", "pair", "compare", "film")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with all that a page can have."""
    subjects = [small_subject(), small_subject()]
    frames = [Frame(step, None, lambda: subjects[0]) for step in (10, 20, 30)]
    found = tmp_path_factory.mktemp("page") / "page.html"
    parts = extras(runs=2, ablations=True, pair=True, frames=frames)
    html = make_page(subjects, TEXTS, names=["one", "other"], extras=parts, keep=KEEP)
    found.write_text(html, encoding="utf-8")
    return found


def number(text: str | None) -> float:
    return float((text or "").replace("−", "-"))


@pytest.mark.parametrize("positions", ["rotary", "alibi", "t5"])
def test_the_arithmetic_adds_up(positions: str, tmp_path: Path, opened: Open) -> None:
    torch.manual_seed(1)
    subject = small_subject(positions=positions)
    file = tmp_path / "page.html"
    file.write_text(make_page([subject], TEXTS[:1], extras=extras(), keep=KEEP), encoding="utf-8")
    layer, head, i, j = 1, 1, 2, 5
    page = opened(file, fragment=f"view=arithmetic&layer={layer}&head={head}&locked={i}&lockedKey={j}").page
    page.locator(".sums tbody tr").nth(2).wait_for()
    rows = page.locator(".sums tbody tr")
    lines = {
        name or "": value
        for name, value in zip(
            rows.locator("th").all_text_contents(),
            map(number, rows.locator("td.number").all_text_contents()),
            strict=True,
        )
    }
    with subject.trace(TEXTS[0], keep="layers.*.attn.weights") as trace:
        exact = trace[f"layers.{layer}.attn.weights"][0][head]
    dot = lines["q · k after rotation" if positions == "rotary" else "q · k"]
    score = lines.get("+ bias", lines["× scale"])
    assert lines["× scale"] == pytest.approx(dot / math.sqrt(8), abs=2e-4)
    assert ("+ bias" in lines) == (positions != "rotary")
    if positions == "alibi":
        # The slope of the second of two heads is 2^-8; see `alibi_slopes`.
        assert score - lines["× scale"] == pytest.approx(-(2.0**-8) * (j - i), abs=2e-4)
    assert lines["weight"] == pytest.approx(math.exp(lines["score − log-sum-exp of the row"]), abs=2e-4)
    assert lines["weight"] == pytest.approx(float(exact[i, j]), abs=2e-3)
    sums = re.search(r"The row’s sum: ([\d.]+)", page.text_content(".row-keys") or "")
    assert sums
    assert float(sums[1]) == pytest.approx(1, abs=5e-3)
    # A click on another key of the row shows that one.
    other = page.locator(".row-list button").first
    largest = number(other.locator(".number").text_content())
    assert largest == pytest.approx(float(exact[i].max()), abs=2e-3)
    other.click()
    wait_until(page, f"location.hash.includes('lockedKey={int(exact[i].argmax())}')")
    settle(page)
    assert number(rows.locator("td.number").last.text_content()) == pytest.approx(largest, abs=1e-4)


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_in_a_narrow_dark_window(view: str, file: Path, opened: Open) -> None:
    page = opened(file, fragment=f"view={view}", size=(390, 800), theme="dark").page
    page.wait_for_selector(f"#view-{view}:not([hidden])")
    settle(page, frames=3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    small = page.locator(f"#view-{view} button:visible").evaluate_all(
        "all => all.filter(one => !one.textContent.trim() && !one.getAttribute('aria-label')).length"
    )
    assert small == 0
