"""Charts: where shapes lie, what is left out, and that pages and PNG files show the same.

Covers all of xformer.plotting.
"""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xformer.plotting.charts import Axis, DotChart, Figure, LineChart, Series
from xformer.plotting.png import png
from xformer.plotting.shapes import COLOURS, MARKERS, SERIES, Dot, Look, Path, Text
from xformer.plotting.svg import figure_html
from xformer.plotting.ticks import log_ticks, number_text, tick_texts, ticks


def html_of(chart: LineChart | DotChart) -> str:
    return figure_html(Figure([chart]))


def line(points: list[tuple[float, float]], x: Axis | None = None, y: Axis | None = None) -> LineChart:
    return LineChart("t", x or Axis("x"), [Series("a", points)], y or Axis())


def dots(*values: dict[str, float], **options: object) -> DotChart:
    return DotChart("t", {f"series {n}": one for n, one in enumerate(values)}, **options)  # type: ignore[arg-type]


def test_lines_lie_where_their_numbers_are() -> None:
    drawn = html_of(line([(0.0, 1.0), (5.0, 10.0), (10.0, 100.0)], y=Axis(log=True)))
    path = re.search(r'class="line s0" d="M([^"]*)"', drawn)
    assert path is not None
    (x0, y0), (x1, y1), (x2, y2) = (tuple(map(float, p.split(","))) for p in path[1].split())
    assert x0 < x1 < x2
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 > y1 > y2
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert [tick for tick in ("1", "10", "100") if f">{tick}</text>" in drawn] == ["1", "10", "100"]


def test_a_logarithmic_horizontal_axis_has_ticks_at_its_places() -> None:
    values = (64.0, 128.0, 512.0)
    x = Axis("width", log=True, places=tuple((value, f"w{value:g}") for value in values))
    (drawing,) = line([(value, 1.0) for value in values], x).drawings(False)
    places = {shape.text: shape.x for shape in drawing.shapes if isinstance(shape, Text)}
    assert places["w512"] - places["w128"] == pytest.approx(2 * (places["w128"] - places["w64"]))
    (curve,) = (shape for shape in drawing.shapes if isinstance(shape, Path) and "line" in shape.style)
    assert [x for x, _ in curve.points] == pytest.approx([places[f"w{value:g}"] for value in values])


def test_texts_along_an_axis_do_not_overlap() -> None:
    x = Axis(places=tuple((float(n), "a long text") for n in range(30)))
    (drawing,) = line([(0.0, 1.0), (29.0, 2.0)], x).drawings(False)
    places = [shape.x for shape in drawing.shapes if isinstance(shape, Text) and shape.text == "a long text"]
    assert len(places) > 3
    assert all(right - left > 6 * len("a long text") for left, right in pairwise(places))


def test_what_cannot_be_drawn_is_left_out() -> None:
    nan = float("nan")
    assert html_of(LineChart("t", Axis("x"), [Series("a", [(0.0, nan)]), Series("b", [])])) == ""
    assert html_of(line([(0.0, 0.0), (1.0, -1.0)], y=Axis(log=True))) == ""
    assert html_of(dots({"de": nan}, {})) == ""
    assert png(Figure([line([])])) is None
    assert "<circle" in html_of(line([(3.0, 7.0)]))
    long = html_of(line([(float(x), 0.0) for x in range(10_000)]))
    assert len(long) < 12_000


def test_languages_come_best_first() -> None:
    drawn = html_of(dots({"de": 0.1, "fr": 0.9}, {"de": 0.2, "xx": 0.3}))
    assert re.findall(r'class="name"[^>]*>(\w+)<', drawn) == ["fr", "de", "xx"]
    assert drawn.count('<circle class="dot s0"') == 2 + 1, "two languages, and the legend"
    assert drawn.count('<circle class="dot s1"') == 2 + 1
    drawn = html_of(dots({"de": 0.1, "fr": 12.0}, best="low"))
    assert re.findall(r'class="name"[^>]*>(\w+)<', drawn) == ["de", "fr"]
    assert re.findall(r'class="name value"[^>]*>([\d.]+)<', drawn) == ["0.1", "12.0"]
    assert re.findall(r'class="name"[^>]*>(\w+)<', html_of(dots({"b": 1.0, "a": 2.0}, best=None))) == [
        "b",
        "a",
    ]


@pytest.mark.parametrize(("rows", "sizes"), [(20, [20]), (21, [11, 10]), (60, [20] * 3), (100, [34, 34, 32])])
def test_many_rows_are_laid_out_in_columns_that_share_an_axis(rows: int, sizes: list[int]) -> None:
    parts = dots({f"l{n:03}": float(n) for n in range(rows)}).drawings(False)
    found = [[shape for shape in part.shapes if isinstance(shape, Dot)] for part in parts]
    assert [len(part) for part in found] == sizes
    assert len({(part.width, part.height) for part in parts}) == 1
    places = [dot.x for part in found for dot in part]
    assert places == sorted(places, reverse=True), "best first, along one axis"
    assert np.diff(places) == pytest.approx(np.diff(places).mean())


def test_means_are_lines_and_named_in_the_legend() -> None:
    chart = dots({"de": 0.0, "fr": 1.0}, {"de": 0.5}, axis=Axis(ends=(0.0, 1.0)), means={"series 0": 0.25})
    (drawing,) = chart.drawings(False)
    (mean,) = (shape for shape in drawing.shapes if isinstance(shape, Path) and shape.style == "mean s0")
    at = {shape.label: shape.x for shape in drawing.shapes if isinstance(shape, Dot)}
    low, high = at["de, series 0: 0"], at["fr, series 0: 1"]
    assert mean.points[0][0] == mean.points[1][0] == pytest.approx(low + 0.25 * (high - low))
    assert [key.text for key in drawing.keys] == ["series 0, mean 0.25", "series 1"]


def test_a_figure_has_each_series_once_in_its_legend() -> None:
    series = [Series("<b>&", [(0.0, 1.0)], Look("s3", 2)), Series("b", [(0.0, 2.0)])]
    charts = [LineChart(name, Axis(), series) for name in ("one", "two")]
    figure = Figure(charts, "whole", "a note")
    text = figure_html(figure)
    assert text.count('<span class="key">') == 2
    assert "&lt;b&gt;&amp;" in text
    assert "<b>" not in text
    root = ElementTree.fromstring(text)
    assert [element.text for element in root.iter("text") if element.get("class") == "head"] == ["one", "two"]
    assert [element.text for element in root.iter("figcaption")] == ["whole"]
    assert "".join(root.itertext()).endswith("a note")
    assert figure_html(Figure(charts, legend=False)).count('<span class="key">') == 0


def test_a_png_shows_what_the_page_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="PNG files need matplotlib")
    from io import BytesIO

    from matplotlib.image import imread

    series = [Series(f"$a_{n}", [(0.0, n), (1.0, n + 1.0)], Look(f"s{n}", n)) for n in range(SERIES)]
    figure = Figure([LineChart("t", Axis("x"), series), dots({"de": 1.0}, looks={"series 0": Look("s1", 3)})])
    picture = png(figure)
    assert picture is not None
    assert png(figure) == picture, "the same bytes each time"
    image = imread(BytesIO(picture), format="png")[..., :3]
    for n in range(SERIES):
        colour = COLOURS[f"s{n}"][0]
        wanted = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        assert (np.abs(image - wanted).max(axis=-1) < 0.02).sum() > 100, f"s{n}"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert png(figure) is None


def test_charts_need_nothing_that_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib", "numpy", "torch"):
        monkeypatch.setitem(sys.modules, name, None)
    assert html_of(dots({"de": 1.0})).startswith("<figure")


def test_markers_differ_and_are_of_one_size() -> None:
    assert len({tuple(marker) for marker in MARKERS}) == len(MARKERS)
    for marker in MARKERS[1:-1]:
        assert 0.8 < max(abs(number) for point in marker for number in point) < 1.5


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6))
def test_ticks_are_few_and_their_texts_differ(low: float, length: float) -> None:
    high = low + length
    assume((high - low) / max(abs(low), abs(high)) > 1e-10)
    found = ticks(low, high)
    assert 2 <= len(found) <= 7
    assert all(low - 1e-6 * length <= tick <= high + 1e-6 * length for tick in found)
    texts = tick_texts(found)
    assert len(set(texts)) == len(texts)
    whole = ticks(low, high, whole=True)
    assert all(tick == round(tick) for tick in whole)


def test_numbers_are_written_as_people_write_them() -> None:
    numbers = [0.0, 0.00001, 0.25, 8.125, 12_345.0, 1e9]
    assert list(map(number_text, numbers)) == ["0", "1e-5", "0.25", "8.12", "12,345", "1e9"]
    assert tick_texts([0.1142, 0.1143, 0.1144]) == ["0.1142", "0.1143", "0.1144"]
    assert tick_texts([1000.0, 1000.5]) == ["1,000.0", "1,000.5"]
    assert tick_texts(log_ticks(-1.0, 1.0)) == ["0.1", "0.2", "0.5", "1", "2", "5", "10"]
    assert tick_texts(log_ticks(-4.0, 0.0)) == ["0.0001", "0.001", "0.01", "0.1", "1"]
    assert tick_texts(log_ticks(1.4, 1.6)) == ["30", "35"]
