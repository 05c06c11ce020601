"""A map: equal scales, a colour and a marker for each series, names where there is room."""

from __future__ import annotations

import re

import pytest

from xformer.plotting.charts import Figure
from xformer.plotting.png import can_write_png, png
from xformer.plotting.scatter import MapChart, Spot
from xformer.plotting.shapes import Dot, Path, Text
from xformer.plotting.svg import figure_html

CHART = MapChart(
    "A map",
    {"en": [Spot(0, 0, "en: zero"), Spot(1, 0.5)], "de": [Spot(0.25, 0, "de: <b>null</b>")]},
    joins=[((0, 0), (0.25, 0))],
    names=[((0, 0), "zero"), ((1, 0.5), "one")],
)


def test_scales_are_equal_and_upwards_is_up() -> None:
    (drawing,) = CHART.drawings(titled=False)
    dots = [shape for shape in drawing.shapes if isinstance(shape, Dot)]
    assert [dot.style for dot in dots] == ["dot s1", "dot s0", "dot s0"]
    null, one, zero = dots
    assert (
        (one.x - zero.x) / 1
        == pytest.approx((zero.y - one.y) / 0.5)
        == pytest.approx((null.x - zero.x) / 0.25)
    )
    (join,) = [shape for shape in drawing.shapes if isinstance(shape, Path)]
    assert list(join.points) == [pytest.approx((zero.x, zero.y)), pytest.approx((null.x, null.y))]
    assert [key.text for key in drawing.keys] == ["en", "de"]
    assert len({(key.look.style, key.look.marker) for key in drawing.keys}) == 2
    assert all(0 <= dot.x <= drawing.width and 0 <= dot.y <= drawing.height for dot in dots)


def test_names_cover_neither_points_nor_one_another() -> None:
    crowd = [Spot(x / 10, y / 10) for x in range(11) for y in range(8)]
    names = [((x / 10, y / 10), f"name {x} {y}") for x in range(11) for y in range(8)]
    (drawing,) = MapChart("", {"all": crowd}, names=names).drawings(titled=False)
    texts = [shape for shape in drawing.shapes if isinstance(shape, Text)]
    assert 0 < len(texts) < len(names)
    boxes = [(one.x, one.y - 10, one.x + 5.9 * len(one.text), one.y + 2) for one in texts]
    for number, a in enumerate(boxes):
        assert a[0] >= 0
        assert a[2] <= drawing.width
        for b in boxes[:number]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        for dot in drawing.shapes:
            if isinstance(dot, Dot):
                assert not (a[0] < dot.x < a[2] and a[1] < dot.y < a[3])


def test_texts_are_escaped_and_shown_where_the_pointer_rests() -> None:
    page = figure_html(Figure([CHART], note="a note"))
    assert "<title>de: &lt;b&gt;null&lt;/b&gt;</title>" in page
    assert re.search(r'<path class="join"', page)
    assert "<b>" not in page
    assert "a note" in page


def test_nothing_and_one_point() -> None:
    assert MapChart("empty", {"en": []}).drawings(titled=True) == []
    (drawing,) = MapChart("one", {"en": [Spot(3, 4)]}).drawings(titled=True)
    (dot,) = [shape for shape in drawing.shapes if isinstance(shape, Dot)]
    assert dot.x == drawing.width / 2
    assert dot.y == pytest.approx(16 + 20 + (430 - 32) / 2)


@pytest.mark.skipif(not can_write_png(), reason="matplotlib is not installed (extra `plot`)")
def test_it_is_painted_the_same_way_each_time() -> None:
    figure = Figure([CHART], note="a note of many words " * 20)
    picture = png(figure)
    assert picture is not None
    assert picture == png(figure)
    short = png(Figure([CHART], note="short"))
    assert short is not None
    assert int.from_bytes(picture[20:24], "big") > int.from_bytes(short[20:24], "big")
