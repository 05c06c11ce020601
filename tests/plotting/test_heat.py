"""A heat map: shades by value, numbers where there is room, the same in a page and in a file."""

from __future__ import annotations

import itertools
import math
import re

import pytest

from xformer.plotting.charts import Figure
from xformer.plotting.heat import HeatChart
from xformer.plotting.page import Section, page
from xformer.plotting.png import can_write_png, png
from xformer.plotting.shapes import COLOURS, SHADES, Area, Text
from xformer.plotting.svg import figure_html

CHART = HeatChart(
    "A <map>", ["0", "1"], ["0", "1", "2"], [[0.0, 0.25, 1.0], [0.5, math.nan, 0.99]], None, "layer", "head"
)


def cells(chart: HeatChart) -> dict[str, Area]:
    (drawing,) = chart.drawings(titled=True)
    found = [shape for shape in drawing.shapes if isinstance(shape, Area) and shape.label]
    for one in found:
        assert all(0 <= x <= drawing.width and 0 <= y <= drawing.height for x, y in one.points)
    return {one.label: one for one in found}


def test_shades_follow_values_and_nothing_stands_for_a_missing_one() -> None:
    found = {label: one.style for label, one in cells(CHART).items()}
    assert found == {
        "layer 0, head 0: 0": "area q0",
        "layer 0, head 1: 0.25": "area q2",
        "layer 0, head 2: 1": "area q9",
        "layer 1, head 0: 0.5": "area q5",
        "layer 1, head 2: 0.99": "area q9",
    }


def test_the_ends_can_be_given_and_what_lies_beyond_has_the_last_shade() -> None:
    chart = HeatChart("", ["r"], ["a", "b", "c"], [[-1.0, 5.0, 20.0]], ends=(0.0, 10.0))
    assert [one.style for one in cells(chart).values()] == ["area q0", "area q5", "area q9"]
    assert [one.style for one in cells(HeatChart("", ["r"], ["a"], [[3.0]])).values()] == ["area q5"]


def test_rows_and_columns_lie_where_they_belong() -> None:
    places = {label[:15]: one.points[0] for label, one in cells(CHART).items()}
    assert places["layer 0, head 0"][1] == places["layer 0, head 2"][1] < places["layer 1, head 0"][1]
    assert places["layer 0, head 0"][0] == places["layer 1, head 0"][0] < places["layer 0, head 1"][0]


@pytest.mark.parametrize(("columns", "written"), [(3, True), (40, False)])
def test_numbers_are_written_where_there_is_room(columns: int, written: bool) -> None:
    chart = HeatChart("", ["0"], [str(n) for n in range(columns)], [[n / 100 for n in range(columns)]])
    (drawing,) = chart.drawings(titled=False)
    texts = [shape for shape in drawing.shapes if isinstance(shape, Text)]
    assert any(one.style.startswith("cell") for one in texts) == written
    names = [one for one in texts if one.style == "tick" and one.text.isdigit()]
    assert all(b.x - a.x >= 5.6 * len(a.text) for a, b in itertools.pairwise(names) if b.x > a.x)


def test_a_page_knows_each_shade_in_light_and_dark() -> None:
    html = page("t", [Section("a", "A", figure_html(Figure([CHART])))])
    assert "A &lt;map&gt;" in html
    assert "<title>layer 1, head 2: 0.99</title>" in html
    for n in range(SHADES):
        assert f".q{n} {{ color: var(--q{n}); }}" in html
        assert all(f"--q{n}: {colour};" in html for colour in COLOURS[f"q{n}"])


def test_shades_are_told_by_lightness() -> None:
    def lightness(colour: str) -> float:
        full = colour if len(colour) == 7 else "#" + "".join(2 * letter for letter in colour[1:])
        red, green, blue = ((int(full[n : n + 2], 16) / 255) ** 2.2 for n in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for which, sign in ((0, -1), (1, 1)):
        values = [lightness(COLOURS[f"q{n}"][which]) for n in range(SHADES)]
        assert all(sign * (b - a) > 0 for a, b in itertools.pairwise(values))
        # Letters can be read on each: the contrast of WCAG 2 is above 3.
        for n, value in enumerate(values):
            letters = lightness(COLOURS["paper" if n >= SHADES / 2 else "ink"][which])
            light, dark = max(value, letters), min(value, letters)
            assert (light + 0.05) / (dark + 0.05) > 3, (which, n)


def test_nothing_is_drawn_of_nothing() -> None:
    assert HeatChart("", ["0"], ["0"], [[math.nan]]).drawings(titled=False) == []


@pytest.mark.slow
def test_a_file_has_its_shades() -> None:
    if not can_write_png():
        pytest.skip("needs matplotlib")
    picture = png(Figure([CHART], note="a note"))
    assert picture is not None
    assert re.match(rb"\x89PNG", picture)
