"""What this machine is called, and how much memory the process has held."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch


class PeakMemory:
    """The most memory in use since it was made."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            # Linux: 5 forgets the peak so far. Where that is not allowed, the peak is of the whole process.
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")

    def read(self) -> int | None:
        """In bytes; None where the system does not tell."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        with suppress(OSError):
            for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return None


def device_name(device: torch.device) -> str:
    """The name that its maker gave it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    with suppress(OSError, IndexError):
        models = [
            x
            for x in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if x.startswith("model name")
        ]
        return models[0].partition(":")[2].strip()
    return "CPU"
