"""The attention view in a browser: it shows what was computed, and each control does what it says."""

from __future__ import annotations

import struct

import pytest
import torch

from tests.inspect.page.fake import random_trace
from tests.inspect.page.shown import (
    Show,
    choose,
    control,
    numbers_of,
    read,
    saved,
    settle,
    table_of,
    told,
    wait_for_head,
    weights_of,
)
from xformer.benchmarks.page.browser import wait_until

pytestmark = pytest.mark.slow

TEXT = "open a file"


def test_each_place_of_the_map_tells_its_weight(show: Show) -> None:
    trace = random_trace("abc")
    page = show(trace)
    box = page.locator(".heat canvas").bounding_box()
    assert box
    found: dict[tuple[str, str], float] = {}
    columns: list[int] = []
    for across in range(15):
        for down in range(7):
            x, y = (across + 0.5) / 15 * box["width"], (down + 0.5) / 7 * box["height"]
            page.mouse.move(box["x"] + x, box["y"] + y)
            settle(page, frames=1)
            if at := read(page):
                found[at[0], at[1]] = at[2]
                columns.append(int(at[1]))
    weights = weights_of(trace)[0]
    n = len(weights)
    assert set(found) == {(str(i), str(j)) for i in range(n) for j in range(n)}
    for (i, j), shown in found.items():
        # Three digits, of weights in 256 steps of their root.
        assert shown == pytest.approx(float(weights[int(i), int(j)]), rel=0.03, abs=2e-3)
    assert columns == sorted(columns), "keys run from left to right"


def test_a_click_keeps_a_weight_and_escape_lets_it_go(show: Show) -> None:
    page = show(random_trace("abc"))
    canvas = page.locator(".heat canvas")
    box = canvas.bounding_box()
    assert box
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.6 * box["height"])
    settle(page)
    kept = told(page)
    assert kept.endswith("(kept; Esc lets go)")
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"])
    settle(page)
    assert told(page) == kept
    query, key, _ = read(page) or ("", "", 0.0)
    wait_until(page, "location.hash.includes('lockedKey=')")
    assert f"locked={query}&lockedKey={key}" in page.evaluate("location.hash")
    page.keyboard.press("Escape")
    settle(page)
    assert "kept" not in told(page)


def test_the_text_is_pointed_at_and_kept(show: Show) -> None:
    trace = random_trace("abc")
    page = show(trace)
    token = page.locator(".token", has_text="b")
    token.hover()
    settle(page)
    said = told(page)
    row = weights_of(trace)[0, 2]
    label = ["<s>", "a", "b", "c", "</s>"][int(row.argmax())]
    assert said.startswith(f"“b” (2) looks at “{label}”")
    token.click()
    settle(page)
    assert page.locator(".token.locked").all_text_contents() == ["b"]


def test_words_are_sums_over_keys_and_means_over_queries(show: Show) -> None:
    trace = random_trace(TEXT)
    page = show(trace)
    n = len(TEXT) + 2
    assert torch.allclose(numbers_of(page), weights_of(trace)[0], atol=2e-3)
    choose(page, "Units", "words")
    table = table_of(page)
    assert table[0][1:] == ["<s>", "open", "a", "file", "</s>"]
    # The space after a word is a token of that word.
    groups = [[0], [1, 2, 3, 4, 5], [6, 7], [8, 9, 10, 11], [12]]
    member = torch.zeros(len(groups), n)
    for number, group in enumerate(groups):
        member[number, group] = 1
    expected = (member / member.sum(1, keepdim=True)) @ weights_of(trace)[0] @ member.T
    found = numbers_of(page)
    assert torch.allclose(found, expected, atol=2e-3)
    assert torch.allclose(found.sum(1), torch.ones(len(groups)), atol=2e-3)


def test_specials_are_hidden_and_rows_made_whole_again(show: Show) -> None:
    trace = random_trace(TEXT)
    page = show(trace)
    inner = weights_of(trace)[0, 1:-1, 1:-1]
    choose(page, "Special tokens", "hidden")
    assert page.locator(".token.special").count() == 0
    assert torch.allclose(numbers_of(page), inner, atol=2e-3)
    choose(page, "Special tokens", "renormalised")
    assert torch.allclose(numbers_of(page), inner / inner.sum(1, keepdim=True), atol=5e-3)


def test_statistics_are_sorted_and_filtered(show: Show) -> None:
    trace = random_trace(TEXT, layers=3)
    page = show(trace)
    entropy = {}
    for layer in range(3):
        weights = weights_of(trace, layer)
        for head, value in enumerate(-(weights * weights.log()).sum(-1).mean(-1)):
            entropy[f"Layer {layer}, head {head}"] = float(value)
    rows = page.locator(".headlist tbody tr:visible")

    def order() -> list[str | None]:
        return rows.locator("button").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")

    page.locator("button[data-column=entropy]").click()
    settle(page)
    assert order() == sorted(entropy, key=entropy.__getitem__, reverse=True)
    page.locator("button[data-column=entropy]").click()
    settle(page)
    assert order() == sorted(entropy, key=entropy.__getitem__)
    middle = sum(sorted(entropy.values())[3:5]) / 2
    page.get_by_label("Show heads with").fill(f"layer>=1 entropy<{middle:.6f}")
    settle(page)
    kept = {name for name, value in entropy.items() if value < middle and not name.startswith("Layer 0")}
    assert set(order()) == kept
    assert page.text_content(".headlist output") == f"{len(kept)} of 6"
    page.get_by_label("Show heads with").fill("speed>1")
    settle(page)
    assert "the columns are layer, head" in (page.text_content(".headlist output") or "")
    page.get_by_label("Show heads with").fill("")
    settle(page)
    rows.nth(0).click()
    wait_for_head(page, min(entropy, key=entropy.__getitem__).replace(", ", " · "))


def test_keys(show: Show) -> None:
    page = show(random_trace("abc", "de", layers=2), random_trace("abc", "de", layers=2))

    for key, expected in (("]", "Layer 0 · head 1"), ("]", "Layer 1 · head 0"), ("[", "Layer 0 · head 1")):
        page.keyboard.press(key)
        wait_for_head(page, expected)
    page.locator(".overview canvas").focus()
    page.keyboard.press("ArrowDown")
    wait_for_head(page, "Layer 1 · head 1")
    page.keyboard.press("ArrowLeft")
    wait_for_head(page, "Layer 1 · head 0")
    for key, label, value in (
        ("m", "Draw", "arcs"),
        ("w", "Units", "words"),
        ("s", "Special tokens", "hidden"),
        ("f", "Shade the text by", "to"),
        ("t", "Text", "1"),
        ("r", "Run", "1"),
    ):
        page.keyboard.press(key)
        settle(page)
        assert control(page, label).input_value() == value
    assert page.locator(".arcs-drawing").is_visible()
    page.keyboard.press("m")
    page.keyboard.press("s")
    page.locator(".heat canvas").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    settle(page)
    assert "kept" in told(page)
    page.keyboard.press("?")
    assert page.locator("details.help").get_attribute("open") is not None


def test_the_address_says_what_is_seen(show: Show) -> None:
    page = show(random_trace("abc"), fragment="layer=1&head=1&shape=arcs&sort=entropy&down=true&locked=2")
    assert page.text_content(".head-title") == "Layer 1 · head 1"
    assert page.locator(".arcs-drawing").is_visible()
    assert page.locator("th[aria-sort=descending]").all_text_contents() == ["entropy"]
    assert page.locator(".token.locked").all_text_contents() == ["b"]
    page.keyboard.press("[")
    wait_until(page, "!location.hash.includes('head=1')")
    assert "layer=1" in page.evaluate("location.hash")
    # What makes no sense is left out.
    page.evaluate("location.hash = 'layer=99&head=x&nonsense=1&shape=map'")
    page.wait_for_selector(".heat canvas")
    settle(page)
    wait_for_head(page, "Layer 0 · head 0")


def test_files_hold_what_is_seen(show: Show) -> None:
    trace = random_trace(TEXT)
    page = show(trace)
    svg = saved(page, "SVG").decode("utf-8")
    assert svg.count("<image") == 1
    assert svg.count(">o<") == 2, "each token labels a row and a column"
    assert "://" not in svg.replace("http://www.w3.org/", "")
    png = saved(page, "PNG")
    width, height = struct.unpack(">II", png[16:24])
    box = page.locator(".heat canvas").bounding_box()
    assert box
    assert width == pytest.approx(2 * box["width"], abs=2)
    assert height > width * 0.9
    choose(page, "Draw", "arcs")
    arcs = saved(page, "SVG").decode("utf-8")
    # All but the weights below a hundredth of the largest.
    shares = weights_of(trace)[0] / weights_of(trace)[0].max()
    assert int((shares > 0.0105).sum()) <= arcs.count("<path") <= int((shares > 0.0095).sum())
    heads = table_of(page, "All heads")
    assert heads[0] == ["layer", "head", "largest weight"]
    largest = [float(weights_of(trace, layer)[head].max()) for layer in range(2) for head in range(2)]
    assert [float(row[2]) for row in heads[1:]] == pytest.approx(largest, abs=1e-5)
    statistics = table_of(page, "Statistics of the heads")
    assert len(statistics) == 5
