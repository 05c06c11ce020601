"""Pictures: what is drawn is what was measured."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from xformer.benchmarks.drawing import OURS, PLACEHOLDER_INK, svg
from xformer.benchmarks.plots import (
    draw_errors,
    draw_sweep,
    growing,
    sweeps,
    unit_of,
    write_pictures,
)
from xformer.benchmarks.record import Record

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

MakeRecord = Callable[..., Record]
LENGTHS = (128, 512, 2048)


@pytest.fixture
def dense(make_record: MakeRecord) -> list[Record]:
    """Ours twice as fast as a peer; another is wrong at the longest, a third cannot do any."""
    found = []
    for n in LENGTHS:
        for direction in ("forward", "backward"):
            same = {
                "case": f"dense d64 N={n}",
                "shape": {"max_length": n, "n_sequences": 16384 // n, "d_head": 64, "causal": False},
                "direction": direction,
                "flops": 1e9 * n,
            }
            found += [
                make_record("xformer triton", 1e-3, **same),
                make_record("sdpa flash", 2e-3, **same, error_multiple=1.5, roofline_share=0.25),
                make_record("flex", None, **same, status="wrong")
                if n == 2048
                else make_record("flex", 4e-3, **same, roofline_share=0.125),
                make_record("varlen_attn", None, **same, status="unsupported", note="needs a GPU"),
            ]
    return found


def lines_of(axis: Any) -> dict[str, list[float]]:
    """The points of each line by label: x, y, x, y and so on."""
    return {
        line.get_label(): [float(n) for point in zip(*line.get_data(), strict=True) for n in point]
        for line in axis.get_lines()
    }


def test_one_line_for_each_implementation_and_the_roof(dense: list[Record]) -> None:
    (sweep,) = sweeps(dense)
    figure = draw_sweep(sweep)
    forward, backward = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["forward", "backward"]
    assert forward.get_xscale() == forward.get_yscale() == "log"
    found = lines_of(forward)
    assert set(found) == {"xformer triton", "sdpa flash", "flex", "roofline"}
    assert found["xformer triton"] == pytest.approx([128, 128, 512, 512, 2048, 2048])
    assert found["sdpa flash"] == pytest.approx([128, 64, 512, 256, 2048, 1024])
    assert found["flex"] == pytest.approx([128, 32, 512, 128]), "what is wrong has no speed"
    assert found["roofline"] == pytest.approx([128, 256, 512, 1024, 2048, 4096])
    assert forward.get_ylabel() == "useful TFLOP/s"
    assert forward.get_xlabel() == "max length"
    assert list(forward.get_xticks()) == list(LENGTHS)
    ours = next(line for line in backward.get_lines() if line.get_label() == "xformer triton")
    assert ours.get_color() == OURS
    (legend,) = figure.legends
    assert legend.get_title().get_text() == "flex: wrong in 2; not here: varlen_attn"
    assert sweep.title in figure.get_suptitle()


def test_bandwidth_where_bytes_bind(make_record: MakeRecord) -> None:
    norms = [
        make_record(
            operation="layer_norm", sweep="rows", case=f"C={c}", shape={"width": c}, flops=0.0, bytes=2e6
        )
        for c in (64, 128)
    ]
    assert unit_of(norms).name == "GB/s"
    (sweep,) = sweeps(norms)
    (axis,) = draw_sweep(sweep).axes
    assert axis.get_ylabel() == "useful GB/s"
    assert lines_of(axis)["xformer triton"] == pytest.approx([64, 2, 128, 2])


def test_every_panel_shows_all_of_its_points(make_record: MakeRecord) -> None:
    records = [
        make_record(seconds=seconds, direction=direction)
        for direction, seconds in (("forward", 1e-3), ("backward", 1.0), ("forward+backward", 1e3))
    ]
    (sweep,) = sweeps(records)
    for axis in draw_sweep(sweep).axes:
        low, high = axis.get_ylim()
        ours = lines_of(axis)["xformer triton"]
        assert low < ours[1] < high


def test_ragged_batches_stand_side_by_side(make_record: MakeRecord) -> None:
    """Of real text no one number grows: batches are named, and no line pretends to connect them."""
    ragged = [
        make_record(sweep="ragged d64", case=f"ragged d64 {name}", shape={"max_length": n, "n_tokens": t})
        for name, n, t in (("messages 16384", 407, 16390), ("descriptions 16384", 512, 16400))
    ]
    (sweep,) = sweeps(ragged)
    (axis,) = draw_sweep(sweep).axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["messages 16384", "descriptions 16384"]
    ours = next(line for line in axis.get_lines() if line.get_label() == "xformer triton")
    assert ours.get_linestyle() == "None"


def test_growing_is_what_has_most_values(dense: list[Record]) -> None:
    assert growing(dense) == "max_length"


def test_errors_against_speed(dense: list[Record]) -> None:
    figure = draw_errors(dense)
    assert figure is not None
    forward = lines_of(figure.axes[0])
    assert forward["xformer triton"] == pytest.approx([1, 0.9] * 3)
    assert forward["sdpa flash"] == pytest.approx([0.5, 1.5] * 3)
    assert forward["flex"] == pytest.approx([0.25, 0.9] * 2)
    assert draw_errors([r for r in dense if r.seconds is None]) is None


def test_files(dense: list[Record], tmp_path: Path) -> None:
    written = write_pictures(dense, tmp_path)
    names = [str(path.relative_to(tmp_path)) for path in written]
    folder = "nvidia-h100-80gb-hbm3"
    assert names == [f"{folder}/attention-dense-d64-bfloat16.png", f"{folder}/attention-error.png"]
    for path in written:
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG\r\n")
        width, height = struct.unpack(">II", content[16:24])
        assert width > 500
        assert height > 400


def test_nothing_timed_is_nothing_drawn(make_record: MakeRecord, tmp_path: Path) -> None:
    assert write_pictures([make_record(seconds=None)], tmp_path) == []


def test_svg_takes_the_colour_around_it_and_escapes(make_record: MakeRecord) -> None:
    (sweep,) = sweeps([make_record("<b>&"), make_record("<b>&", case="b", shape={"max_length": 9})])
    text = svg(draw_sweep(sweep, PLACEHOLDER_INK))
    assert PLACEHOLDER_INK not in text
    assert "currentColor" in text
    root = ElementTree.fromstring(text)
    assert "<b>&" in [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
