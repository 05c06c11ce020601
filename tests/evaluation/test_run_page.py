"""The page of a run: what is drawn, what is left out, and that text stays text."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from xformer.errors import InputError
from xformer.evaluation.charts import Line, dot_chart, line_chart
from xformer.evaluation.run_page import RunReport, page, write_run_page
from xformer.evaluation.space import Space
from xformer.progress import Progress
from xformer.run_config import DataConfig, RunConfig
from xformer.training.checkpoint import TrainingState
from xformer.training.made_up import made_up_config, made_up_corpus
from xformer.training.pretrain import pretrain


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
        "lr_factor": {"matrices": 0.5, "embedding": 1.0, "vectors": 0.5},
        "stage": "full",
        "gradient_norm": 0.3,
        "skipped": 0,
        "loss": {"masked_lm": 8.0 - step, "alignment": 3.0},
        "languages": {
            "en": {"asked": 0.75, "drawn": 0.5 if step == 1 else 0.8, "tokens": 0.7},
            "de": {"asked": 0.25, "drawn": 0.5 if step == 1 else 0.2, "tokens": 0.3},
        },
    } | more


def report(**changes: Any) -> RunReport:
    space = Space("en", 20, {"de": 0.5}, {"de": 0.25}, {"de": 1.5}, (0.0, 0.25), (0.5, 0.125), (2.0, 0.75))
    everything: dict[str, Any] = {
        "name": "first",
        "config": RunConfig(),
        "state": TrainingState(step=3, elapsed=18.0, tokens=300, precision="fp32"),
        "parameters": 12_345,
        "metrics": [line(1), line(2), line(3)],
        "panel": [
            {"step": 1, "elapsed": 6.0, "mean_top1": 0.1},
            {"step": 3, "elapsed": 18.0, "mean_top1": 0.4},
        ],
        "space": space,
        "bits": {"en": 2.0, "de": 3.0},
        "evaluation": None,
    }
    return RunReport(**everything | changes)


def titles(text: str) -> list[str]:
    return re.findall(r"<figcaption>(.*?)</figcaption>", text)


def test_everything_that_there_is_has_its_picture() -> None:
    text = page(report())
    assert titles(text) == [
        "Masked LM, nats a token",
        "Alignment, nats a text",
        "Learning rates",
        "Tokens per second",
        "Gradient norm before clipping",
        "Retrieval, mean top-1",
        "Alignment by layer",
        "Centroid gap by layer",
        "Anisotropy by layer",
        "Retrieval with en on dev, top-1",
        "Bits per byte on dev",
        "Alignment with en",
        "Hubness of en&#x27;s texts",
        "Shares by language",
    ]
    reader = Reader()
    reader.feed(text)
    assert [link.removeprefix("#") for link in reader.links] == ["training", "panel", "space", "shares"]
    assert set(reader.ids) >= {"summary", "training", "panel", "space", "shares"}
    assert reader.fetched == []
    assert "://" not in text
    for number in ("12,345", "0.750", "0.125", "2.500, mean"):
        assert number in text


def test_a_run_without_a_checkpoint_shows_its_log() -> None:
    text = page(report(state=None, parameters=None, space=None, bits={}, panel=[]))
    assert 'id="space"' not in text
    assert "no checkpoint yet" in text
    assert len(titles(text)) == 6


def test_shares_are_means_weighted_by_tokens() -> None:
    # Drawn in the first 100 tokens 0.5, in the next 300 0.8.
    text = page(report(metrics=[line(1), line(4)]))
    assert "en, drawn: 0.725" in text
    assert "de, drawn: 0.275" in text
    assert "en, asked for: 0.75" in text


def test_text_stays_text() -> None:
    bad = "<script>alert(1)</script>{{nav}}\"'"
    metrics = [line(1, languages={bad: {"asked": 1.0, "drawn": 1.0, "tokens": 1.0}})]
    config = RunConfig(data=DataConfig(corpus=bad))
    text = page(report(name=bad, metrics=metrics, config=config, bits={bad: 1.0}))
    assert text.count("<script>") == 1
    assert "{{nav}}" in text
    assert f"xformer: {bad}" not in text


def test_lines_lie_where_their_numbers_are() -> None:
    drawn = line_chart("t", "x", [Line("a", [(0.0, 1.0), (5.0, 10.0), (10.0, 100.0)])], log=True)
    points = re.search(r'points="([^"]*)"', drawn)
    assert points is not None
    (x0, y0), (x1, y1), (x2, y2) = (tuple(map(float, p.split(","))) for p in points[1].split())
    assert x0 < x1 < x2
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 > y1 > y2
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert [tick for tick in ("1", "10", "100") if f">{tick}</text>" in drawn] == ["1", "10", "100"]


def test_what_cannot_be_drawn_is_left_out() -> None:
    assert line_chart("t", "x", [Line("a", [(0.0, float("nan"))]), Line("b", [])]) == ""
    assert line_chart("t", "x", [Line("a", [(0.0, 0.0), (1.0, -1.0)])], log=True) == ""
    assert dot_chart("t", {"a": {"de": float("nan")}, "b": {}}) == ""
    assert "<circle" in line_chart("t", "x", [Line("a", [(3.0, 7.0)])])
    long = line_chart("t", "x", [Line("a", [(float(x), 0.0) for x in range(10_000)])])
    assert len(long) < 12_000


def test_languages_come_best_first() -> None:
    drawn = dot_chart("t", {"a": {"de": 0.1, "fr": 0.9}, "b": {"de": 0.2, "xx": 0.3}})
    assert re.findall(r'class="name"[^>]*>(\w+)<', drawn) == ["fr", "de", "xx"]
    assert drawn.count("<circle") == 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    config = made_up_config(made_up_corpus(folder / "corpus"), steps=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr("xformer.training.pretrain.plot_losses", lambda metrics, path: path)
        with Progress(Console(file=StringIO())) as progress:
            assert pretrain(folder / "run", config, progress)
    return folder / "run"


def test_a_run_as_it_is_on_disk(trained: Path, tmp_path: Path) -> None:
    said = StringIO()
    with Progress(Console(file=said)) as progress:
        target = write_run_page(trained, tmp_path / "page.html", progress)
        assert write_run_page(trained, None, progress) == trained / "report.html"
    text = target.read_text(encoding="utf-8")
    assert {"Alignment by layer", "Bits per byte on dev", "Shares by language"} <= set(titles(text))
    assert "no picture" not in said.getvalue()
    assert text == (trained / "report.html").read_text(encoding="utf-8")


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with Progress(Console(file=StringIO())) as progress, pytest.raises(InputError, match=r"config\.toml"):
        write_run_page(tmp_path, None, progress)
