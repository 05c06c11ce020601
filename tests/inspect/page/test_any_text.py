"""The attention page in a browser: any script, any size of window, light and dark; nothing leaves it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tests.browsing import Open
from tests.inspect.page.fake import random_trace
from tests.inspect.page.shown import Show, read, settle, told, weights_of
from xformer.benchmarks.page.browser import visit
from xformer.inspect.page.build import framed, page_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

TEXT = "open a file"


def test_right_to_left_runs_from_right_to_left(show: Show) -> None:
    trace = random_trace("שלום")
    page = show(trace, languages=("he",))
    assert page.locator(".words").evaluate("one => getComputedStyle(one).direction") == "rtl"
    lefts = page.locator(".token").evaluate_all("all => all.map(one => one.getBoundingClientRect().left)")
    letters = lefts[1:-1]
    assert letters == sorted(letters, reverse=True), "the first letter is the rightmost"
    box = page.locator(".heat canvas").bounding_box()
    assert box
    keys = []
    for across in range(20):
        page.mouse.move(box["x"] + (across + 0.5) / 20 * box["width"], box["y"] + 0.9 * box["height"])
        settle(page, frames=1)
        if at := read(page):
            keys.append(int(at[1]))
    assert len(set(keys)) == 6
    assert keys == sorted(keys, reverse=True), "the first key is the rightmost column"


# Each letter (code point) is a token here; a token within a grapheme shows all of it, and which part it is.
@pytest.mark.parametrize(
    ("text", "language", "labels"),
    [
        ("سَلام", "ar", ["سَ 1/2", "2/2", "ل", "ا", "م"]),
        ("שׁל", "he", ["שׁ 1/2", "2/2", "ל"]),
        ("น้ำก", "th", ["น้ำ 1/3", "2/3", "3/3", "ก"]),
        ("日か\u3099", "ja", ["日", "か\u3099 1/2", "2/2"]),
        ("नमस्ते", "hi", ["न", "म", "स्ते 1/4", "2/4", "3/4", "4/4"]),
        ("a👨‍👩‍👧!", "", ["a", "👨‍👩‍👧 1/5", "2/5", "3/5", "4/5", "5/5", "!"]),
        ("🇩🇪👍🏽", "", ["🇩🇪 1/2", "2/2", "👍🏽 1/2", "2/2"]),
    ],
    ids=["arabic", "hebrew", "thai", "japanese", "devanagari", "emoji", "flag"],
)
def test_graphemes_stay_whole(text: str, language: str, labels: list[str], show: Show) -> None:
    page = show(random_trace(text, layers=1), languages=(language,))
    assert page.locator(".token:not(.special)").all_text_contents() == labels
    right_to_left = language in ("ar", "he")
    assert page.locator(".words").get_attribute("dir") == ("rtl" if right_to_left else "ltr")
    assert page.locator(".words").get_attribute("lang") == (language or None)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_light_and_dark(theme: Literal["light", "dark"], show: Show) -> None:
    page = show(random_trace(TEXT), theme=theme)

    def brightness() -> tuple[float, float]:
        """Of the paper, and of the map where weights are small."""
        return tuple(
            page.evaluate(
                """(() => {
                  const of = ([r, g, b]) => (r + g + b) / 765;
                  const canvas = document.querySelector(".heat canvas");
                  // A copy, as the page's own canvas is not made to be read.
                  const copy = new OffscreenCanvas(canvas.width, canvas.height);
                  const context = copy.getContext("2d", {willReadFrequently: true});
                  context.drawImage(canvas, 0, 0);
                  const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
                  const all = [];
                  for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) {
                    all.push((data[at] + data[at + 1] + data[at + 2]) / 765);
                  }
                  const paper = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number);
                  return [of(paper), all.sort((a, b) => a - b)[all.length >> 1]];
                })()"""
            )
        )

    light = theme == "light"
    assert [one > 0.5 for one in brightness()] == [light, light]
    page.get_by_role("button", name="Dark or light").click()
    settle(page)
    assert [one > 0.5 for one in brightness()] == [not light, not light]


def test_what_a_user_wrote_stays_text(show: Show) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    page = show(random_trace(evil, layers=1))
    assert "".join(page.locator(".token:not(.special)").all_text_contents()).replace("␣", " ") == evil
    assert page.locator("img").count() == 0


def test_everything_has_a_name(show: Show) -> None:
    """A screen reader says of each control what it is."""
    page = show(random_trace("abc", "de"), random_trace("abc", "de"))
    nameless = page.evaluate(
        """[...document.querySelectorAll("button, select, input, canvas, svg, [role], a")].filter(one =>
             one.checkVisibility() && !one.closest("[aria-hidden=true]")
             && !(one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") || one.title
                  || one.closest("label")?.textContent.trim() || one.textContent.trim()
                  || one.getAttribute("role") === "status")
           ).map(one => one.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def test_a_narrow_window_needs_no_scrolling_sideways(show: Show) -> None:
    page = show(random_trace(10 * TEXT, TEXT, layers=4, heads=4), size=(390, 800))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    rights = page.locator("select:visible").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect().right)"
    )
    assert max(rights) <= 390 - 16, "no choice is cut off"


def test_512_tokens(show: Show) -> None:
    text = "abcdefgh " * 56 + "abcdef"
    trace = random_trace(text, layers=1)
    page = show(trace)
    page.locator(".token").nth(300).click()
    settle(page)
    n = len(text) + 2
    assert n == 512
    row = weights_of(trace)[0, 300]
    top = re.findall(r"” ([\d.e-]+)", told(page))
    assert len(top) == 4
    assert [float(one) for one in top] == pytest.approx(row.sort(descending=True)[0][:4].tolist(), abs=0.03)


def test_in_a_notebook_it_is_a_frame(tmp_path: Path, opened: Open) -> None:
    file = tmp_path / "notebook.html"
    file.write_text(f"<!doctype html>{framed(page_of(random_trace('abc')))}", encoding="utf-8")
    page = opened(file).page
    frame = page.frame_locator("iframe")
    frame.locator(".head-title", has_text="Layer 0 · head 0").wait_for()


def test_the_policy_forbids_requests(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(page_of(random_trace("abc")), encoding="utf-8")
    with visit(browser, file) as found:
        said = found.page.evaluate("fetch('https://example.org/').then(() => 'went', error => error.name)")
    assert said == "TypeError"
    assert any("Content Security Policy" in error for error in found.errors)
