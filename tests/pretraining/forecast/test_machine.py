"""Peak memory and the device's name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from xformer.pretraining.forecast import machine
from xformer.pretraining.forecast.machine import PeakMemory, device_name

CPU = torch.device("cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process")
def test_the_peak_is_of_memory_that_was_used_since() -> None:
    # In a process of its own: in one that has run other tests, the block may go where their memory was.
    code = (
        "import torch\n"
        "from xformer.pretraining.forecast.machine import PeakMemory\n"
        "peak = PeakMemory(torch.device('cpu'))\n"
        "before = peak.read()\n"
        "block = torch.ones(64 << 20, dtype=torch.uint8)\n"
        "print(peak.read() - before)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 32 << 20


def test_what_the_system_does_not_tell_is_left_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert device_name(CPU)
    monkeypatch.setattr(machine, "Path", lambda name: tmp_path / "none")
    assert device_name(CPU) == "CPU"
    assert PeakMemory(CPU).read() is None
