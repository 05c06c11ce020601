"""The panel's table fits its terminal, and its line of JSON has no NaN."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from xformer.evaluation.panel_result import PanelResult


def result_of(languages: int) -> PanelResult:
    tags = [f"x-{number}" for number in range(languages)]
    values = {tag: number / 100 for number, tag in enumerate(tags)}
    return PanelResult(5, 2.0, 0.5, 0.1, 0.7, (0.1, 0.2), 0.5, 3.0, values, values, values, values, 1.0)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 40), (120, 24), (120, 40), (40, 12), (10, 5)])
def test_the_table_fits_its_terminal(width: int, height: int) -> None:
    output = StringIO()
    Console(file=output, width=width, height=height).print(result_of(53))
    lines = output.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    assert len(lines) <= max(height - 4, 9)
    shown = re.findall(r"x-\d+", output.getvalue())
    # Where not all have room, it is the ones served worst that are shown, and how many are not is said.
    assert set(shown) == {f"x-{number}" for number in range(len(shown))}
    assert len(shown) == 53 or f"and {53 - len(shown)} more"[:width] in output.getvalue()
    assert ("asked" in output.getvalue()) == (height == 40)
    # No number is cut, but left out where there is no room for all of it.
    first = next(line for line in lines if line.startswith("x-"))
    number = int(first.split()[0].removeprefix("x-")) / 100
    assert first.split()[1] == f"{number:.2f}"
    assert width == 10 or first.split()[2] == f"{number:.2f}"


def test_a_line_of_json_is_rounded_and_has_no_nan() -> None:
    odd = replace(result_of(1), hubness=float("nan"), anisotropy=1 / 3, top1={"x-0": float("inf")})
    line = odd.to_json()
    assert "\n" not in line
    found = json.loads(line)
    assert (found["hubness"], found["anisotropy"], found["top1"]) == (None, 0.33333, {"x-0": None})
    assert found["alignment_by_layer"] == [0.1, 0.2]


def test_trackers_get_means_and_languages_but_nothing_that_is_not_finite() -> None:
    odd = replace(result_of(2), hubness=float("nan"))
    found = odd.tracked()
    assert found["panel/mean_top1"] == 0.5
    assert found["panel/mean_bits_per_byte"] == 3.0
    assert (found["panel_top1/x-1"], found["panel_bits_per_byte/x-1"]) == (0.01, 0.01)
    assert (found["panel_alignment_by_layer/0"], found["panel_alignment_by_layer/1"]) == (0.1, 0.2)
    assert not {"panel/hubness", "panel/step", "panel/elapsed", "panel/seconds"} & set(found)


def test_names_stand_beside_tags_where_all_have_room() -> None:
    values = {"de": 0.5, "fr": 0.25, "zh-Hant": 0.75}
    few = PanelResult(5, 2.0, 0.5, 0.1, 0.7, (0.1,), 0.5, 3.0, values, values, values, values, 1.0)
    for width, named in ((80, True), (30, False)):
        output = StringIO()
        Console(file=output, width=width, height=24).print(few)
        assert ("de German" in output.getvalue()) == named
        assert ("zh-Hant Chinese (Tr…" in output.getvalue()) == named
        assert max(map(len, output.getvalue().splitlines())) <= width
