from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xformer.runs.duration import DURATION_OR_NONE, seconds


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172_800), ("7", 7), (".5", 0.5)]
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@given(st.floats(0.001, 1e6), st.sampled_from([("", 1), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]))
def test_durations_are_read_in_their_unit(value: float, unit: tuple[str, int]) -> None:
    name, factor = unit
    assert seconds(f"{value!r}{name}") == pytest.approx(value * factor)


@pytest.mark.parametrize(
    "text", ["", "0", "0.0m", "-1s", "1e3", "m", "3w", "ten", "inf", "nan", "10 m", "1h30m", "٣m", "1" * 400]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected something like 90s"):
        seconds(text, "training.budget")


@given(st.text("0123456789.smhd", max_size=6))
@example("0.05s")
@example("00")
@example("1\n")
def test_the_pattern_of_the_schema_is_the_rule(text: str) -> None:
    matches = re.search(DURATION_OR_NONE.schema["pattern"].replace("$", r"\Z"), text) is not None
    assert matches == DURATION_OR_NONE.holds(text)
