"""Pictures: what is drawn is what was measured."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from xformer.benchmarks.kernels.plots import (
    error_figure,
    growing,
    is_ours,
    looks_of,
    sweep_figure,
    sweeps,
    unit_of,
    write_pictures,
)
from xformer.benchmarks.kernels.record import Record
from xformer.plotting.charts import Chart, DotChart, LineChart
from xformer.plotting.shapes import Text

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


def lines_of(chart: Chart) -> dict[str, list[float]]:
    """The x and y of all points of each series."""
    assert isinstance(chart, LineChart)
    return {
        one.name: [number for point in one.points for number in point] for one in chart.series if one.points
    }


def test_one_line_for_each_implementation_and_the_roof(dense: list[Record]) -> None:
    (sweep,) = sweeps(dense)
    figure = sweep_figure(sweep)
    forward, backward = figure.charts
    assert [chart.title for chart in figure.charts] == ["forward", "backward"]
    assert isinstance(forward, LineChart)
    assert forward.x.log
    assert forward.y.log
    found = lines_of(forward)
    assert set(found) == {"xformer triton", "sdpa flash", "flex", "roofline"}
    assert found["xformer triton"] == pytest.approx([128, 128, 512, 512, 2048, 2048])
    assert found["sdpa flash"] == pytest.approx([128, 64, 512, 256, 2048, 1024])
    assert found["flex"] == pytest.approx([128, 32, 512, 128]), "what is wrong has no speed"
    assert found["roofline"] == pytest.approx([128, 256, 512, 1024, 2048, 4096])
    assert figure.title == f"{sweep.title}: useful TFLOP/s"
    assert forward.x.name == "max length"
    assert [value for value, _ in forward.x.places] == list(LENGTHS)
    assert isinstance(backward, LineChart)
    (ours,) = (one for one in backward.series if one.name == "xformer triton")
    assert ours.look is not None
    assert ours.look.style == "s0 thick"
    assert figure.note == f"{sweep.device}; flex: wrong in 2; not measured: varlen_attn"


def test_every_implementation_looks_different() -> None:
    names = ["xformer triton", "xformer torch", "xformer torch rows", *map(str, range(12))]
    looks = looks_of(names)
    assert next(iter(looks)) == "xformer triton"
    assert len(set(looks.values())) == len(names)
    assert all(("thick" in look.style) == is_ours(name) for name, look in looks.items())


def test_bandwidth_where_bytes_bind(make_record: MakeRecord) -> None:
    norms = [
        make_record(
            operation="layer_norm", sweep="rows", case=f"C={c}", shape={"width": c}, flops=0.0, bytes=2e6
        )
        for c in (64, 128)
    ]
    assert unit_of(norms).name == "GB/s"
    (sweep,) = sweeps(norms)
    figure = sweep_figure(sweep)
    assert figure.title.endswith("useful GB/s")
    assert lines_of(figure.charts[0])["xformer triton"] == pytest.approx([64, 2, 128, 2])


def test_every_panel_shows_all_of_its_points(make_record: MakeRecord) -> None:
    records = [
        make_record(seconds=seconds, direction=direction)
        for direction, seconds in (("forward", 1e-3), ("backward", 1.0), ("forward+backward", 1e3))
    ]
    (sweep,) = sweeps(records)
    charts = sweep_figure(sweep).charts
    assert len(charts) == 3
    for chart in charts:
        assert isinstance(chart, LineChart)
        assert chart.y.ends is not None
        low, high = chart.y.ends
        assert low < lines_of(chart)["xformer triton"][1] < high
        assert high / low >= 4


def test_ragged_batches_have_a_row_each(make_record: MakeRecord) -> None:
    """No one number of batches of real text grows: each has a row, and no line pretends to connect them."""
    ragged = [
        make_record(sweep="ragged d64", case=f"ragged d64 {name}", shape={"max_length": n, "n_tokens": t})
        for name, n, t in (("messages 16384", 407, 16390), ("descriptions 16384", 512, 16400))
    ]
    (sweep,) = sweeps(ragged)
    (chart,) = sweep_figure(sweep).charts
    assert isinstance(chart, DotChart)
    assert chart.values["xformer triton"] == pytest.approx({"messages 16384": 1, "descriptions 16384": 1})
    assert chart.values["roofline"] == pytest.approx({"messages 16384": 2, "descriptions 16384": 2})
    (drawing,) = chart.drawings(False)
    names = [shape.text for shape in drawing.shapes if isinstance(shape, Text) and shape.style == "name"]
    assert names == ["messages 16384", "descriptions 16384"]
    assert not [shape for shape in drawing.shapes if shape.style.startswith("line")]


def test_growing_is_what_has_most_values(dense: list[Record]) -> None:
    assert growing(dense) == "max_length"


def test_errors_against_speed(dense: list[Record]) -> None:
    figure = error_figure(dense)
    assert figure is not None
    forward = lines_of(figure.charts[0])
    assert forward["xformer triton"] == pytest.approx([1, 0.9] * 3)
    assert forward["sdpa flash"] == pytest.approx([0.5, 1.5] * 3)
    assert forward["flex"] == pytest.approx([0.25, 0.9] * 2)
    assert error_figure([r for r in dense if r.seconds is None]) is None


def test_files(dense: list[Record], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="PNG files need matplotlib")
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
