"""Resources of a compiled kernel: registers, spills, shared memory and matrix instructions.

Read from the machine code by the assembler's own tools, which come with Triton: `ptxas -v` and `cuobjdump`
for NVIDIA, the metadata that LLVM writes beside the code for AMD. Nothing runs.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton
from triton.backends.nvidia.compiler import get_ptxas

from ..device import Target

_MATRIX_INSTRUCTIONS = {
    "tcgen05": r"\btcgen05\.mma",
    "wgmma": r"\bwgmma\.mma_async",
    "mma": r"\bmma\.sync",
    "mfma": r"\bv_mfma_",
}


@dataclass(frozen=True)
class Resources:
    """Resources that a kernel takes.

    Attributes:
        registers: registers of a thread.
        spilled: bytes that a thread stores to and loads from local memory because registers ran out; on AMD,
            registers.
        shared: bytes of shared memory of a program.
        tensor_memory: columns of tensor memory of a program; 0 where there is none.
        num_warps: warps of a program, including those that only load.
        instructions: number of matrix instructions of each kind in the code.
    """

    registers: int
    spilled: int
    shared: int
    tensor_memory: int
    num_warps: int
    instructions: dict[str, int]


def read(compiled: Any, target: Target) -> Resources:
    """Read the resources of a compiled kernel.

    Args:
        compiled: the result of `triton.compile`.
        target: the machine that it was compiled for.

    Raises:
        RuntimeError: the report of a tool lacks a number that is needed.
    """
    if target.backend == "hip":
        code = compiled.asm["amdgcn"]
        registers = _number(r"\.vgpr_count:\s*(\d+)", code)
        spilled = _number(r"\.vgpr_spill_count:\s*(\d+)", code)
    else:
        code = compiled.asm["ptx"]
        registers, spilled = _cuda_registers(compiled.asm["cubin"], code, int(target.arch))
    found = {name: len(re.findall(pattern, code)) for name, pattern in _MATRIX_INSTRUCTIONS.items()}
    return Resources(
        registers=registers,
        spilled=spilled,
        shared=compiled.metadata.shared,
        tensor_memory=getattr(compiled.metadata, "tmem_size", None) or 0,
        num_warps=compiled.metadata.num_warps,
        instructions={name: count for name, count in found.items() if count},
    )


def _cuda_registers(cubin: bytes, ptx: str, arch: int) -> tuple[int, int]:
    """Registers a thread, and bytes it spills."""
    with tempfile.TemporaryDirectory() as folder:
        binary, text = Path(folder, "kernel.cubin"), Path(folder, "kernel.ptx")
        binary.write_bytes(cubin)
        usage = _run(triton.knobs.nvidia.cuobjdump.path, "-res-usage", str(binary))
        registers = _number(r"\bREG:(\d+)", usage)
        if _number(r"\bSTACK:(\d+)", usage) == 0:
            return registers, 0  # registers spill to the stack
        text.write_text(ptx, encoding="utf-8")
        suffix = "a" if arch >= 90 else ""
        log = _run(get_ptxas(arch).path, "-v", f"--gpu-name=sm_{arch}{suffix}", str(text), "-o", str(binary))
        return registers, _number(r"(\d+) bytes spill stores", log) + _number(r"(\d+) bytes spill loads", log)


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"no {pattern!r} in the compiler's report")
    return int(found[1])
