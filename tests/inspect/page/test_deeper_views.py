"""The deeper views in a browser: they show what Python computed, and each control does what it says."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.browsing import Open, browser, opened  # noqa: F401 - fixtures
from tests.inspect.page.small import small_subject
from xformer.inspect.page.ablation import ablation
from xformer.inspect.page.build import page_of
from xformer.inspect.page.film import Frame
from xformer.inspect.page.pair import joined
from xformer.inspect.page.parts import KEEP, extras
from xformer.inspect.subject import Subject
from xformer.inspect.trace import Trace

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.slow
TEXTS = ('abc <b>a="&"', "אב גא")


@dataclass
class Made:
    """A page, and what it was made of."""

    file: Path
    subjects: tuple[Subject, Subject]
    traces: tuple[Trace, Trace]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    torch.manual_seed(5)
    first, other = small_subject(positions="t5"), small_subject(n_layers=3)
    frames = [Frame(10 * step, 1.5, small_subject) for step in range(1, 4)]
    parts = extras(runs=2, ablations=True, pair=True, frames=frames)
    file = tmp_path_factory.mktemp("deeper") / "page.html"
    with first.trace(TEXTS, keep=KEEP) as a, other.trace(TEXTS, keep=KEEP) as b:
        file.write_text(page_of(a, b, names=["one", "two"], extras=parts), encoding="utf-8")
        yield Made(file, (first, other), (a, b))


def view(page: Page, name: str) -> Any:
    panel = page.locator(f"#view-{name}")
    panel.wait_for(state="visible")
    assert page.locator("#views b, #views img").count() == panel.locator(".both-texts b").count()
    return panel


def saved(page: Page, button: Any, tmp_path: Path) -> list[list[str]]:
    with page.expect_download() as download:
        button.click()
    download.value.save_as(tmp_path / "saved.csv")
    with (tmp_path / "saved.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_the_arithmetic_of_a_weight(opened: Open, made: Made) -> None:  # noqa: F811
    page = opened(made.file, fragment="view=arithmetic&layer=1&head=1&locked=2&lockedKey=5").page
    panel = view(page, "arithmetic")
    weights = made.traces[0]["layers.1.attn.weights"][0][1]

    def shown() -> dict[str, float]:
        cells = panel.locator(".sums tbody tr").all()
        return {
            row.locator("th").inner_text(): float(row.locator("td").last.inner_text().replace("−", "-"))
            for row in cells
        }

    panel.locator(".sums tbody tr").first.wait_for()
    steps = shown()
    assert steps["weight"] == pytest.approx(float(weights[2, 5]), abs=2e-4)
    assert steps["q · k"] * 8**-0.5 == pytest.approx(steps["× scale"], abs=2e-4)
    table = made.subjects[0].network.encoder.get_parameter("relative_bias.weight").detach()
    assert steps["+ bias"] - steps["× scale"] == pytest.approx(
        float(table[16 + 3, 1]), abs=3e-4
    )  # distance 3, ahead
    assert np.exp(steps["score − log-sum-exp of the row"]) == pytest.approx(steps["weight"], abs=2e-4)
    assert "sum: 1.0000" in panel.locator(".row-keys").inner_text()
    first = panel.locator(".bar-row").first
    assert float(first.locator(".number").inner_text()) == pytest.approx(float(weights[2].max()), abs=2e-4)
    key = int(weights[2].argmax())
    first.press("Enter")
    panel.get_by_text(re.compile(rf"takes from .*\(token {key}\)$")).wait_for()
    assert shown()["weight"] == pytest.approx(float(weights[2, key]), abs=2e-4)


def test_the_arithmetic_of_a_rotation_stands_below_the_map(opened: Open, made: Made) -> None:  # noqa: F811
    page = opened(made.file, fragment="run=1&layer=2&head=0&locked=1&lockedKey=4").page
    panel = view(page, "attention")
    rows = panel.locator(".sums tbody tr")
    rows.first.wait_for()
    values = [float(row.locator("td").last.inner_text().replace("−", "-")) for row in rows.all()]
    trace = made.traces[1]
    q, k = (trace[f"layers.2.attn.{name}"][0][:, 0] for name in "qk")
    assert values[1] == pytest.approx(float(q[1] @ k[4]), abs=2e-3)
    assert values[-1] == pytest.approx(float(trace["layers.2.attn.weights"][0][0, 1, 4]), abs=2e-4)
    page.keyboard.press("Escape")
    panel.locator(".sums-place").wait_for(state="hidden")


def test_the_lens(opened: Open, made: Made, tmp_path: Path) -> None:  # noqa: F811
    page = opened(made.file, fragment="view=lens").page
    panel = view(page, "lens")
    panel.locator("select").nth(2).select_option("shown")
    subject, trace = made.subjects[0], made.traces[0]
    best = trace.logits(0).argmax(-1).tolist()
    rows = panel.locator("tbody tr")
    rows.nth(len(best) - 1).wait_for()
    expected = [subject.piece(one).strip() for one in best]
    # The table is drawn again a frame after the choice.
    for _ in range(50):
        pieces = [row.locator("button").last.inner_text().strip() for row in rows.all()]
        if pieces == expected:
            break
        page.wait_for_timeout(100)
    assert pieces == expected
    rows.nth(0).locator("button").last.click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    assert "Token 1" in panel.locator(".lens-detail").inner_text()
    assert "after layer 0" in panel.locator(".lens-detail").inner_text()
    lines = saved(page, panel.locator("[data-export=csv]"), tmp_path)
    assert lines[0][3:5] == ["predicted", "probability"]
    assert float(lines[3][4]) == pytest.approx(float(trace.logits(0).softmax(-1)[0].max()), rel=1e-5)


def test_effects_of_heads(opened: Open, made: Made) -> None:  # noqa: F811
    page = opened(made.file, fragment="view=ablation").page
    panel = view(page, "ablation")
    effects = np.array(ablation(made.subjects[0], made.traces[0].texts[0])["effects"])
    panel.locator(".cell").nth(2).click()
    panel.get_by_text("Layer 1, head 0: ").wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    words = panel.get_by_text("Layer 1, head 1: ")
    words.wait_for()
    value, rank = re.findall(r": (\S+), number (\d)", words.inner_text())[0]
    assert float(value) == pytest.approx(effects[1, 1], rel=1e-2)
    assert int(rank) == 1 + int((effects > effects[1, 1]).sum())


def test_the_pair(opened: Open, made: Made, tmp_path: Path) -> None:  # noqa: F811
    page = opened(made.file, fragment="view=pair&layer=1&head=1").page
    panel = view(page, "pair")
    a, b = made.traces[0].texts
    size = len(TEXTS[0]) * len(TEXTS[1])
    panel.locator("input[type=range]").fill("0")
    for side in (0, 1):
        panel.locator(".beside select").nth(side).select_option("all")
    panel.locator(".token-lines").first.locator("svg path").nth(size - 1).wait_for(state="attached")
    lines = saved(page, panel.locator("[data-export=csv]").first, tmp_path)
    both, at_a, at_b = joined(a, b)
    with made.subjects[0].trace(both, keep=KEEP) as trace:
        block = trace["layers.1.attn.weights"][0][1].numpy()[np.ix_(at_a[1:-1], at_b[1:-1])]
    assert [float(line[2]) for line in lines[1:]] == pytest.approx(block.ravel().tolist(), abs=3e-3)
    panel.locator(".beside select").nth(1).select_option("soft")
    x, y = (made.traces[0]["layers.1.resid_post"][text][1:-1] for text in (0, 1))
    weights = (torch.nn.functional.cosine_similarity(x[:, None], y[None], dim=-1) / 0.1).exp()
    soft = weights**2 / weights.sum(0) / weights.sum(1, keepdim=True)
    lines = saved(page, panel.locator("[data-export=csv]").nth(1), tmp_path)
    assert [float(line[2]) for line in lines[1:]] == pytest.approx(soft.ravel().tolist(), rel=0.15)
    panel.locator("[data-side=left]").first.focus()
    page.keyboard.press("ArrowDown")
    assert "b – " in panel.locator(".token-lines .note").first.inner_text()
    panel.locator(".cell").nth(0).click()
    panel.get_by_text("Attention, layer 0, head 0: A looks at B").wait_for()
    panel.locator("form select").nth(3).select_option("b_to_a")
    panel.get_by_text("Attention, layer 0, head 0: B looks at A").wait_for()
    panel.locator(".beside select").nth(2).select_option("agreement")
    panel.get_by_text("that are most alike, each to the other").wait_for()


def test_two_runs_beside_each_other(opened: Open, made: Made) -> None:  # noqa: F811
    page = opened(made.file, fragment="view=compare&layer=1&head=0").page
    panel = view(page, "compare")
    panel.locator(".map canvas").nth(2).wait_for()
    sentence = panel.get_by_text("of the attention lies elsewhere").first.inner_text()
    found = re.search(r"one, layer 1, head 0, beside two, layer (\d), head (\d): (\S+)%", sentence)
    assert found is not None
    layer, head = int(found[1]), int(found[2])
    rows = [
        np.c_[w[1:-1, 1:-1], w[1:-1, 0] + w[1:-1, -1]]
        for w in (
            made.traces[0]["layers.1.attn.weights"][0][0].numpy(),
            made.traces[1][f"layers.{layer}.attn.weights"][0][head].numpy(),
        )
    ]
    assert float(found[3]) / 100 == pytest.approx(np.abs(rows[0] - rows[1]).sum(1).mean() / 2, abs=0.006)
    panel.locator(".cell").nth(1).click()
    panel.get_by_text("one, layer 0, head 1, beside two").wait_for()
    panel.locator(".map canvas").first.hover(position={"x": 100, "y": 100})
    assert "→" in panel.locator(".note[aria-live]").last.inner_text()


def test_the_film(opened: Open, made: Made) -> None:  # noqa: F811
    page = opened(made.file, fragment="view=film&layer=1&head=1").page
    panel = view(page, "film")
    panel.get_by_text("Step 30 (frame 3 of 3), total held-out loss 1.5").wait_for()
    panel.locator("canvas").focus()
    page.keyboard.press(",")
    panel.get_by_text("Step 20 (frame 2 of 3)").wait_for()
    page.keyboard.press("ArrowLeft")
    panel.locator(".bars text", has_text="layer 1, head 0").wait_for()
    panel.locator("input[type=range]").fill("0")
    panel.get_by_text("Step 10 (frame 1 of 3)").wait_for()
    panel.get_by_role("button", name="Play").click()
    panel.get_by_role("button", name="Pause").wait_for()
    panel.get_by_text("Step 30 (frame 3 of 3)").wait_for()
    panel.get_by_role("button", name="Play").wait_for()  # it stops at its end


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_without_its_part_a_view_says_why(opened: Open, tmp_path: Path, theme: str) -> None:  # noqa: F811
    with small_subject().trace(TEXTS[:1], keep=KEEP) as trace:
        (tmp_path / "page.html").write_text(page_of(trace), encoding="utf-8")
    page = opened(tmp_path / "page.html", theme=theme, size=(390, 800)).page
    for name, asked in (
        ("ablation", "--ablation"),
        ("pair", "--pair"),
        ("compare", "--compare"),
        ("film", "--film"),
    ):
        page.locator(f"#tab-{name}").click()
        assert asked in page.locator(f"#view-{name} .command").inner_text()
    for name in ("arithmetic", "lens"):
        page.locator(f"#tab-{name}").click()
        assert "xformer inspect page" in page.locator(f"#view-{name} .absent-view").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("fragment", "name", "words"),
    [
        ("view=film&frame=0", "film", "Step 10 (frame 1 of 3)"),
        ("view=film&frame=77", "film", "Step 30 (frame 3 of 3)"),
        ("view=pair&way=b_to_a&states=0", "pair", "B looks at A"),
        ("view=pair&states=0", "pair", "before layer 0 (cosine)"),
        ("view=compare&other=1", "compare", "beside two"),
        ("view=lens&lens=shown", "lens", "Token 0"),
    ],
)
def test_a_link_opens_what_was_seen(opened: Open, made: Made, fragment: str, name: str, words: str) -> None:  # noqa: F811
    panel = view(opened(made.file, fragment=fragment).page, name)
    panel.locator("h3, p", has_text=words).first.wait_for()


def test_a_choice_is_in_the_address(opened: Open, made: Made) -> None:  # noqa: F811
    page = opened(made.file, fragment="view=film").page
    view(page, "film").locator("input[type=range]").fill("1")
    page.wait_for_url(re.compile("frame=1"))
