"""Records that nobody measured, and a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browsing import browser, opened  # noqa: F401 - fixtures
from xformer.benchmarks.environment import Environment
from xformer.benchmarks.kernels.record import Record

H100 = "NVIDIA H100 80GB HBM3"

MakeRecord = Callable[..., Record]


def environment_of(device: str, time: str, kind: str) -> Environment:
    """Where and when."""
    return Environment(
        device=device,
        kind="cuda" if kind == "cuda" else "cpu",
        memory_bytes=2**36,
        threads=16,
        clocks={"sm": 1980.0},
        driver="580.1",
        cuda="13.0",
        commit="abc1234",
        dirty=False,
        python="3.12.3",
        torch="2.11.0",
        triton="3.6.0",
        interpreted=False,
        peers={},
        time=time,
    )


@pytest.fixture
def make_record() -> MakeRecord:
    """A record with what is given; the rest is attention, forward, in a millisecond on an H100."""

    def make(
        implementation: str = "xformer triton",
        seconds: float | None = 1e-3,
        *,
        device: str = H100,
        time: str = "2026-01-02T03:04:05+00:00",
        kind: str = "cuda",
        **fields: Any,
    ) -> Record:
        quantiles = (
            None if seconds is None else {"p20": 0.99 * seconds, "p50": seconds, "p80": 1.01 * seconds}
        )
        flops = fields.pop("flops", 1e9)
        size = fields.pop("bytes", 1e6)
        values: dict[str, Any] = {
            "operation": "attention",
            "sweep": "dense d64",
            "case": "dense d64 N=512",
            "shape": {"max_length": 512, "d_head": 64},
            "dtype": "bfloat16",
            "direction": "forward",
            "status": "ok" if seconds is not None else "failed",
            "note": "",
            "error": 1e-3,
            "error_multiple": 0.9,
            "launch_seconds": 1e-5,
            "peak_bytes": 2**20,
            "roofline_share": None if seconds is None else 0.5,
            "rounds": 30,
        }
        return Record(
            implementation=implementation,
            seconds=quantiles,
            cold_seconds=quantiles,
            flops=flops,
            bytes=size,
            flops_per_second=None if seconds is None else flops / seconds,
            bytes_per_second=None if seconds is None else size / seconds,
            environment=environment_of(device, time, kind),
            **{**values, **fields},
        )

    return make
