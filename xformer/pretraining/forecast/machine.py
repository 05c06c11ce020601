"""Name of the device, and the most memory that the process has used."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import torch


class PeakMemory:
    """The most memory in use since this object was made."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            # Linux: 5 resets the peak. Where that is not allowed, it is the peak since the process began.
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")

    def read(self) -> int | None:
        """Bytes; None where the system does not report them."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        peak = _find(r"^VmHWM:\s*(\d+)", "/proc/self/status")
        return int(peak) * 1024 if peak else None


def device_name(device: torch.device) -> str:
    """The product name of the GPU or CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _find(r"^model name\s*:\s*(.+)$", "/proc/cpuinfo") or "CPU"


def _find(pattern: str, path: str) -> str | None:
    """The first group of a pattern in a file; None where there is no such file or text."""
    with suppress(OSError):
        found = re.search(pattern, Path(path).read_text(encoding="utf-8"), re.MULTILINE)
        return found[1].strip() if found else None
    return None
