"""The page of a run: what is drawn, what is left out, and that text stays text.

Covers xformer.report.run_charts, too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import pytest
from rich.console import Console

from tests.browsing import Open
from xformer.errors import InputError
from xformer.evaluation.space import Space
from xformer.evaluation.space_map import MapText, SpaceMap
from xformer.plotting.charts import Figure
from xformer.plotting.svg import figure_html
from xformer.pretraining.pretrain import pretrain
from xformer.pretraining.synthetic_data import synthetic_config, synthetic_corpus
from xformer.progress import Progress
from xformer.report.examples import Example
from xformer.report.run_charts import training_charts
from xformer.report.run_page import RunReport, page, write_run_page
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import DataConfig, RunConfig


class Reader(HTMLParser):
    """Ids, links, and what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.append(value or "")
            if name in ("src", "srcset", "data", "action", "poster"):
                self.fetched.append(value or "")


def line(step: int, **more: Any) -> dict[str, Any]:
    return {
        "step": step,
        "elapsed": 6.0 * step,
        "tokens": 100 * step,
        "tokens_per_s": 1000.0,
        "lr_factor": {"matrices": 0.5, "embedding": 1.0, "vectors": 0.5, "bigrams": 0.25},
        "stage": "full",
        "gradient_norm": 0.3,
        "skipped": 0,
        "loss": {"masked_lm": 8.0 - step, "alignment": 3.0},
        "languages": {
            "en": {"asked": 0.75, "drawn": 0.5 if step == 1 else 0.8, "tokens": 0.7},
            "de": {"asked": 0.25, "drawn": 0.5 if step == 1 else 0.2, "tokens": 0.3},
        },
    } | more


def look(step: int, top1: float, layers: list[float]) -> dict[str, Any]:
    found = {"mean_top1": top1, "alignment_by_layer": layers, "top1": {"de": top1}}
    return {"step": step, "elapsed": 6.0 * step} | found


def report(**changes: Any) -> RunReport:
    space = Space("en", 20, {"de": 0.5}, {"de": 0.25}, {"de": 1.5}, (0.0, 0.25), (0.5, 0.125), (2.0, 0.75))
    everything: dict[str, Any] = {
        "name": "first",
        "config": RunConfig(),
        "state": TrainingState(step=3, elapsed=18.0, tokens=300, precision="fp32"),
        "parameters": 12_345,
        "metrics": [line(1), line(2), line(3)],
        "panel": [
            {"step": 1, "elapsed": 6.0, "mean_top1": 0.1, "alignment_by_layer": [0.1], "top1": {"de": 0.1}},
            {
                "step": 3,
                "elapsed": 18.0,
                "mean_top1": 0.4,
                "alignment_by_layer": [0.1, 0.2],
                "top1": {"de": 0.4},
            },
        ],
        "space": space,
        "bits": {"en": 2.0, "de": 3.0},
        "evaluation": None,
        "message": (
            Example("de", "Zwei Hunde", "Two <b>dogs</b>", "Two <b>dogs</b>", 0.9),
            Example("he", "שני כלבים", "A cat", "Two <b>dogs</b>", 0.4),
        ),
        "mistakes": (Example("he", "שני כלבים", "A cat", "Two <b>dogs</b>", 0.4),),
    }
    return RunReport(**everything | changes)


def titles(text: str) -> list[str]:
    return re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", text)


@pytest.mark.parametrize("bigrams", [0, 4])
def test_every_group_that_is_trained_has_its_learning_rate(bigrams: int) -> None:
    config = RunConfig(model=replace(RunConfig().model, bigrams=bigrams))
    charts = training_charts([line(1), line(2)], config)
    (rates,) = [figure_html(Figure([chart])) for chart in charts if chart.title == "Learning rates"]
    groups = ["matrices", "embedding", "vectors"] + ["bigrams"] * bool(bigrams)
    # Each is named with its last rate.
    lasts = {name: config.optimizer.rates[name] * line(2)["lr_factor"][name] for name in groups}
    for name, last in lasts.items():
        assert f"{name} {last:.3g}" in rates
    assert ("bigrams" in rates) == bool(bigrams)


def test_everything_that_there_is_has_its_picture() -> None:
    text = page(report())
    assert titles(text) == [
        "Masked LM, nats per hidden token",
        "Alignment, nats per text",
        "Tokens per second",
        "Learning rates",
        "Gradient norm before clipping",
        "Retrieval, mean top-1",
        "Alignment by layer",
        "Retrieval, top-1, first and last scores by language",
        "Alignment by layer",
        "Centroid gap by layer",
        "Anisotropy by layer",
        "Retrieval with en (English) on dev, top-1",
        "Bits per byte on dev",
        "Alignment with en (English)",
        "Hubness of texts in en (English)",
        "Shares by language, percent",
        "One message in 2 languages, found in 1: Two <b>dogs</b>".replace("<", "&lt;").replace(">", "&gt;"),
        "The most certain mistake in each language",
    ]
    reader = Reader()
    reader.feed(text)
    assert [link.removeprefix("#") for link in reader.links] == [
        "summary",
        "training",
        "panel",
        "space",
        "shares",
        "examples",
    ]
    assert set(reader.ids) >= {"summary", "training", "panel", "space", "shares", "examples"}
    assert reader.fetched == []
    assert "://" not in text
    for number in ("12,345", "0.750", "0.125", "2.500, mean"):
        assert number in text


def test_a_run_without_a_checkpoint_shows_its_log() -> None:
    nothing: dict[str, Any] = {"space": None, "bits": {}, "panel": [], "message": (), "mistakes": ()}
    text = page(report(state=None, parameters=None, **nothing))
    assert 'id="space"' not in text
    assert "no checkpoint yet" in text
    assert len(titles(text)) == 6


def test_shares_are_means_weighted_by_tokens() -> None:
    # Drawn in the first 100 tokens 0.5, in the next 300 0.8.
    text = page(report(metrics=[line(1), line(4)]))
    assert "en English, realised: 72.5" in text
    assert "de German, realised: 27.5" in text
    assert "en English, requested: 75" in text


def test_the_map_shows_its_texts_and_its_numbers() -> None:
    texts = (MapText("en", 0, "Two <b>dogs</b>", 0.5, 0.0), MapText("de", 0, "Zwei Hunde", -0.5, 0.25))
    text = page(report(map=SpaceMap("en", texts, 0.4, 0.25, 0.95, 17)))
    assert "Translations in one space" in titles(text)
    assert "<title>en English: Two &lt;b&gt;dogs&lt;/b&gt;</title>" in text
    assert "<title>de German: Zwei Hunde</title>" in text
    assert "Two dimensions show 40% of the variance" in text
    assert "translations 0.25, other texts 0.95 (17 pairs)" in text


def test_text_stays_text() -> None:
    bad = "<script>alert(1)</script>{{nav}}\"'"
    metrics = [line(1, languages={bad: {"asked": 1.0, "drawn": 1.0, "tokens": 1.0}})]
    config = RunConfig(data=DataConfig(corpus=bad))
    read = Example(bad, bad, bad, "other", 0.5)
    text = page(
        report(name=bad, metrics=metrics, config=config, bits={bad: 1.0}, message=(read,), mistakes=(read,))
    )
    assert text.count("<script>") == 1
    assert "{{nav}}" in text
    assert f"xformer: {bad}" not in text


def test_each_text_runs_in_its_own_direction() -> None:
    text = page(report())
    cells = re.findall(r'<td lang="(\w+)" dir="auto"[^>]*>(.*?)</td>', text)
    assert ("he", "שני כלבים") in cells
    assert ("en", "A cat") in cells
    assert "Two <b>" not in text


def test_the_blocks_are_marked_where_they_join() -> None:
    stages = ["embedding_warmup", "full", "full"]
    text = page(report(metrics=[line(n, stage=stage) for n, stage in enumerate(stages, start=1)]))
    marks = re.findall(r'class="mark" d="M([\d.]+),', text)
    # All over time share an axis from 0 to the third step's end; the log's second line is at two thirds.
    assert len(marks) == text.count("dotted: the full stage begins") == 7
    assert list(map(float, marks)) == [pytest.approx(56 + 390 * 2 / 3, abs=0.1)] * 7
    assert "mark" not in "".join(re.findall(r"<path[^>]*>", page(report())))


@pytest.mark.slow
def test_in_a_browser(tmp_path: Path, opened: Open) -> None:
    file = tmp_path / "page.html"
    file.write_text(page(report()), encoding="utf-8")
    shown = opened(file, size=(1280, 800)).page
    # Each section that is linked is there and has a height.
    for link in shown.get_by_role("navigation").get_by_role("link").all():
        link.click()
        anchor = shown.evaluate("location.hash")
        assert shown.locator(anchor).is_visible()
    hebrew = shown.get_by_role("cell", name="שני כלבים").first
    assert hebrew.evaluate("cell => getComputedStyle(cell).direction") == "rtl"
    english = shown.get_by_role("cell", name="A cat").first
    assert english.evaluate("cell => getComputedStyle(cell).direction") == "ltr"
    # What is drawn lies within its picture.
    outside = shown.evaluate(
        """[...document.querySelectorAll(".panels svg")].flatMap(svg => {
          const frame = svg.getBoundingClientRect();
          return [...svg.querySelectorAll("text, path, circle")].filter(one => {
            const box = one.getBoundingClientRect();
            return box.width && (box.left < frame.left - 1 || box.right > frame.right + 1);
          }).map(one => one.outerHTML);
        })"""
    )
    assert outside == []


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_light_and_dark(theme: Literal["light", "dark"], tmp_path: Path, opened: Open) -> None:
    """As the system asks, until the button is pressed."""
    file = tmp_path / "page.html"
    file.write_text(page(report()), encoding="utf-8")
    shown = opened(file, theme=theme).page

    def brightness() -> float:
        colour = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / (3 * 255)

    assert (brightness() > 0.5) == (theme == "light")
    shown.get_by_role("button", name="Dark or light").click()
    assert (brightness() > 0.5) == (theme == "dark")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    config = synthetic_config(synthetic_corpus(folder / "corpus"), steps=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr("xformer.pretraining.pretrain.plot_losses", lambda metrics, path: path)
        with Progress(Console(file=StringIO())) as progress:
            assert pretrain(folder / "run", config, progress)
    return folder / "run"


def test_a_run_as_it_is_on_disk(trained: Path, tmp_path: Path) -> None:
    said = StringIO()
    with Progress(Console(file=said)) as progress:
        target = write_run_page(trained, tmp_path / "page.html", progress)
        assert write_run_page(trained, None, progress) == trained / "report.html"
    text = target.read_text(encoding="utf-8")
    shown = {"Translations in one space", "Alignment by layer", "Bits per byte on dev"}
    assert shown | {"Shares by language, percent"} <= set(titles(text))
    assert "no picture" not in said.getvalue()
    assert text == (trained / "report.html").read_text(encoding="utf-8")


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    said = "but it is empty; `xformer pretrain"
    with Progress(Console(file=StringIO())) as progress, pytest.raises(InputError, match=said):
        write_run_page(tmp_path, None, progress)


def test_a_line_of_a_log_without_a_field_is_named(trained: Path, tmp_path: Path) -> None:
    for name, field in (("metrics.jsonl", "stage"), ("panel.jsonl", "elapsed")):
        run = tmp_path / name / "run"
        shutil.copytree(trained, run)
        if name == "panel.jsonl":
            (run / name).write_text('{"step": 1, "elapsed": 0.5}\n', encoding="utf-8")
        lines = [json.loads(line) for line in (run / name).read_text(encoding="utf-8").splitlines()]
        del lines[0][field]
        (run / name).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        with (
            Progress(Console(file=StringIO())) as progress,
            pytest.raises(InputError, match=rf"{name}:1: expected the field\(s\) {field}"),
        ):
            write_run_page(run, None, progress)


def test_a_page_without_a_place_is_refused_before_anything_is_measured(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xformer.report.run_page.read_run", lambda *arguments: pytest.fail("it was measured"))
    (tmp_path / "file").write_text("", encoding="utf-8")
    with (
        Progress(Console(file=StringIO())) as progress,
        pytest.raises(
            InputError, match=r"page\.html: cannot be written \(.*\); --out puts the page elsewhere"
        ),
    ):
        write_run_page(trained, tmp_path / "file" / "page.html", progress)
