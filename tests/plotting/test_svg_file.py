"""An SVG file stands alone: its own colours in light and dark, well-formed, all charts inside."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from xformer.plotting.charts import Axis, Figure, LineChart, Series
from xformer.plotting.heat import HeatChart
from xformer.plotting.shapes import COLOURS
from xformer.plotting.svg_file import svg_file

SVG = "{http://www.w3.org/2000/svg}"
HEAT = HeatChart("A <map> & more", ["0", "1"], ["0", "1"], [[0.0, 1.0], [0.5, 0.25]])
LINES = LineChart("Lines", Axis("step"), [Series("one", [(0, 1), (1, 2)]), Series("two", [(0, 2), (1, 0)])])


def test_it_is_one_document_with_all_charts() -> None:
    root = ElementTree.fromstring(svg_file(Figure([HEAT, LINES], "A title", "A note " * 60)))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert {"A title", "A <map> & more", "Lines", "one", "two"} <= set(texts)
    words = [word for text in texts for word in text.split() if set(text.split()) <= {"A", "note"}]
    assert words == ["A", "note"] * 60
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.attrib["x"]) <= width
        assert 0 <= float(text.attrib["y"]) <= height
    areas = [path for path in root.iter(f"{SVG}path") if path.attrib["class"].startswith("area")]
    assert sum(path.find(f"{SVG}title") is not None for path in areas) == 4
    assert len([path for path in root.iter(f"{SVG}path") if path.attrib["class"].startswith("line")]) == 4


def test_charts_after_the_third_begin_a_new_row() -> None:
    one, four = (ElementTree.fromstring(svg_file(Figure([HEAT] * count, "t"))) for count in (3, 4))
    assert one.attrib["width"] == four.attrib["width"]
    assert float(four.attrib["height"]) > 1.7 * float(one.attrib["height"])


def test_a_figure_says_how_many_charts_stand_beside_each_other() -> None:
    two, four = (ElementTree.fromstring(svg_file(Figure([HEAT] * count, "t", columns=2))) for count in (2, 4))
    assert two.attrib["width"] == four.attrib["width"]


def test_its_colours_are_its_own() -> None:
    text = svg_file(Figure([HEAT]))
    light, dark = re.findall(r":root \{ (.*?) \}", text)
    for which, block in enumerate((light, dark)):
        assert all(f"--{name}: {pair[which]};" in block for name, pair in COLOURS.items())
    used = set(re.findall(r'class="area (q\d)"', text))
    assert all(f".{name} {{ color: var(--{name}); }}" in text for name in used)
    assert "url(" not in text
    assert "<script" not in text


def test_nothing_is_an_empty_text() -> None:
    assert svg_file(Figure([HeatChart("", ["0"], ["0"], [[float("nan")]])])) == ""
