"""The time per token by the size of the model, on models of a moment."""

from __future__ import annotations

import pytest
import torch

from xformer.benchmarks.training import cost
from xformer.benchmarks.training.cost import Cost


@pytest.mark.slow
def test_each_size_is_a_row_and_the_caption_fits_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(cost, "_SIZES", ((32, 1), (64, 2)))
    monkeypatch.setattr(cost, "matrix_rate", lambda precision, device, clock: 1e9)
    threads = torch.get_num_threads()
    try:
        Cost(tokens=128, steps=2).run()
    finally:
        torch.set_num_threads(threads)
    lines = capsys.readouterr().out.split("\n")
    every = [line.split() for line in lines]
    rows = {" ".join(cells[:3]): cells for cells in every if cells[1:2] == ["×"] and cells[0].isdigit()}
    assert list(rows) == ["32 × 1", "64 × 2"]
    for cells in rows.values():
        # Of a machine of 1 GFLOP/s the share is the rate.
        assert float(cells[-1]) == pytest.approx(float(cells[-2]), abs=0.06)
    # Attention has 4 d² parameters, the gated unit 3 · d · 3d/2, a block two norms of d.
    assert float(rows["64 × 2"][3]) == pytest.approx(2 * (4 + 4.5) * 64**2 / 1e6, abs=0.006)
    assert any("ps for each parameter of the blocks" in line for line in lines)
