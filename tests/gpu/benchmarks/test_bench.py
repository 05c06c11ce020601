"""The bench on a real GPU: a stopwatch that tells the device's time, and contenders that are right."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from xformer.benchmarks.kernels.operation import Operation
from xformer.benchmarks.kernels.operations.attention import Attention
from xformer.benchmarks.kernels.operations.norms import LayerNorm
from xformer.benchmarks.kernels.run import Options, Session, begin, run
from xformer.benchmarks.kernels.stopwatch import GpuStopwatch, Work

pytestmark = pytest.mark.gpu

QUICK = Options(quick=True, case_budget=0.2, rounds=5)


@pytest.fixture(scope="module")
def session() -> Session:
    return begin("cuda")


def test_the_hosts_time_is_not_the_devices() -> None:
    """Two tiny kernels that the host launches milliseconds apart take microseconds."""
    x = torch.ones(1000, device="cuda")

    def dawdle(_: object) -> None:
        x.add_(1)
        time.sleep(2e-3)
        x.add_(1)

    runner = GpuStopwatch(torch.device("cuda")).start(Work(dawdle))
    assert min(runner.warm() for _ in range(5)) < 0.5e-3
    launch = runner.launch()
    assert launch is not None
    assert launch >= 2e-3


def test_what_comes_before_is_not_timed() -> None:
    big = torch.randn(4096, 4096, device="cuda")
    small = torch.ones(1000, device="cuda")
    stopwatch = GpuStopwatch(torch.device("cuda"))
    alone = stopwatch.start(Work(lambda _: small.add_(1)))
    after = stopwatch.start(Work(lambda _: small.add_(1), lambda: big @ big))
    product = stopwatch.start(Work(lambda _: big @ big))
    took = min(after.warm() for _ in range(5))
    assert took < 0.5 * min(product.warm() for _ in range(5))
    assert took < 50 * min(alone.warm() for _ in range(5))


def test_peak_memory() -> None:
    x = torch.randn(2**20, device="cuda")
    assert GpuStopwatch(torch.device("cuda")).start(Work(lambda _: (x * 2) + 1)).peak_bytes() == 2 * 4 * 2**20


@pytest.mark.parametrize("operation", [Attention(), LayerNorm()], ids=lambda operation: operation.name)
def test_the_quick_cases(operation: Operation[Any], session: Session) -> None:
    """Ours are right and timed, launches apart; and not they alone."""
    records = list(run(operation, QUICK, session))
    for record in records:
        if record.implementation.startswith("xformer triton") and not session.environment.interpreted:
            assert record.status == "ok", f"{record.case}, {record.direction}: {record.note}"
    timed = [record for record in records if record.status == "ok"]
    assert timed
    for record in timed:
        assert record.seconds is not None
        assert record.cold_seconds is not None
        assert record.launch_seconds is not None
        assert record.peak_bytes is not None
        assert record.roofline_share is not None
    peers = {record.implementation for record in timed if not record.implementation.startswith("xformer")}
    assert {"sdpa flash", "varlen_attn"} <= peers or operation.name != "attention"
