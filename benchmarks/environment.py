"""The machine and software of a measurement."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import torch

# Distributions of the peers that are not part of PyTorch.
PEERS = ("liger-kernel", "flash-attn", "flash-attn-3", "flash-attn-4", "cut-cross-entropy")


@dataclass(frozen=True)
class Environment:
    """The machine and software of a measurement.

    Attributes:
        device: the processor's own name.
        kind: `cuda` for a GPU, of AMD too, or `cpu`.
        memory_bytes: of the device.
        threads: threads that PyTorch computes with on a CPU.
        clocks: in MHz, by name: on a GPU `sm` and `memory` just after the measurement, and their maxima
            `sm_max` and `memory_max`; on a CPU `cpu`. Empty where the machine does not tell.
        driver: version of the GPU's driver, or none.
        cuda: version of CUDA (or ROCm) that torch was built with, or none.
        commit: of this repository; `unknown` outside a checkout.
        dirty: whether tracked files differ from it.
        python: version.
        torch: version, build included.
        triton: version, or none.
        interpreted: Triton's kernels run in its interpreter, and are not timed.
        peers: versions of the peers that are installed, by name of the distribution.
        time: when the run began, UTC, ISO 8601. The same for all records of one run.
    """

    device: str
    kind: Literal["cuda", "cpu"]
    memory_bytes: int
    threads: int
    clocks: dict[str, float]
    driver: str | None
    cuda: str | None
    commit: str
    dirty: bool
    python: str
    torch: str
    triton: str | None
    interpreted: bool
    peers: dict[str, str]
    time: str

    @property
    def file_name(self) -> str:
        """The file of this device's records, such as `nvidia-h100-80gb-hbm3.jsonl`."""
        return re.sub(r"[^a-z0-9]+", "-", self.device.lower()).strip("-") + ".jsonl"


def environment(device: torch.device) -> Environment:
    """Describe this machine and its software."""
    cuda = device.type == "cuda"
    commit, dirty = _commit()
    return Environment(
        device=torch.cuda.get_device_name(device) if cuda else _cpu_name(),
        kind="cuda" if cuda else "cpu",
        memory_bytes=torch.cuda.get_device_properties(device).total_memory if cuda else _memory(),
        threads=torch.get_num_threads(),
        clocks=clocks(device),
        driver=next(iter(_nvidia_smi(device, "driver_version")), None) if cuda else None,
        cuda=torch.version.cuda or torch.version.hip,
        commit=commit,
        dirty=dirty,
        python=platform.python_version(),
        torch=torch.__version__,
        triton=version("triton"),
        interpreted=os.environ.get("TRITON_INTERPRET") == "1",
        peers={name: found for name in PEERS if (found := version(name)) is not None},
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def clocks(device: torch.device) -> dict[str, float]:
    """The current clocks of a device in MHz, by name; unknown ones are left out."""
    if device.type != "cuda":
        found = re.search(r"^cpu MHz\s*:\s*([\d.]+)$", _read("/proc/cpuinfo"), re.MULTILINE)
        return {"cpu": float(found[1])} if found else {}
    names = ("sm", "memory", "sm_max", "memory_max")
    values = _nvidia_smi(device, "clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem")
    numbers = zip(names, values, strict=False)
    return {name: float(value) for name, value in numbers if re.fullmatch(r"[\d.]+", value)}


def version(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _nvidia_smi(device: torch.device, query: str) -> list[str]:
    """The answer of nvidia-smi about a device; empty where there is no nvidia-smi."""
    which = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    command = ("nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits", "-i", which)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return []
    return [value.strip() for value in done.stdout.strip().split(",")]


def _cpu_name() -> str:
    """The processor's model, from /proc/cpuinfo on Linux."""
    found = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _memory() -> int:
    """Bytes of main memory; 0 where the system does not tell."""
    found = re.search(r"^MemTotal:\s*(\d+) kB$", _read("/proc/meminfo"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _read(path: str) -> str:
    file = Path(path)
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _commit() -> tuple[str, bool]:
    """This checkout's short commit, and whether tracked files were changed since."""
    here = Path(__file__).resolve()
    git = ("git", "-C", str(here.parent))
    try:
        # An installed copy may lie inside another repository.
        ours = (*git, "ls-files", "--error-unmatch", here.name)
        subprocess.run(ours, capture_output=True, check=True, timeout=30)
        describe = (*git, "describe", "--always", "--dirty=+", "--exclude=*")
        done = subprocess.run(describe, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "unknown", False
    found = done.stdout.strip()
    return found.removesuffix("+"), found.endswith("+")
