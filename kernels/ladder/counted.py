"""Counts that need no GPU: instructions, registers, shared memory and bytes of each rung.

Shapes: T tokens, H heads, D head size, N tokens of one sequence; a tile is BLOCK_M queries by BLOCK_N keys.

Kernels are compiled for a named target and their machine code is read. The work of PyTorch is counted
operator by operator, on tensors without memory (`meta`). These counts are not times.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..device import Target
from .rungs import Attend, Rung

# Kinds of instructions, by the names of the assembler.
KINDS = {
    "powers": r"MUFU\.EX2",
    "multiply and add": r"FFMA|FMUL|FADD",
    "compare": r"FMNMX|FSETP|FSEL",
    "between threads": r"SHFL|BAR|STS|LDS",
    "matrix products": r"HGMMA|HMMA|UTCHMMA",
    "loads by threads": r"LDG\.|LDGSTS",
    "loads by the copy engine": r"UTMALDG",
}


@dataclass(frozen=True)
class Machine:
    """Counts of a compiled kernel.

    Attributes:
        kernel: name of the kernel.
        configuration: head size and dtype.
        target: `sm_90` and so on.
        registers: registers of a thread.
        spilled: bytes that a thread stores and loads because registers ran out.
        shared: bytes of shared memory of a program.
        programs: programs that a multiprocessor holds at the same time.
        per_weight: instructions that threads issue for one weight, in the loop over whole blocks of keys.
        kinds: the same for each of `KINDS`.
    """

    kernel: str
    configuration: str
    target: str
    registers: int
    spilled: int
    shared: int
    programs: int
    per_weight: float
    kinds: dict[str, float]


@dataclass(frozen=True)
class Traffic:
    """Memory traffic for one sequence and one head.

    Attributes:
        operations: 4 N² D.
        requested: bytes that the rung reads and writes, from a cache or not.
        peak: the most bytes that it allocates at the same time, output included.
    """

    operations: int
    requested: int
    peak: int

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.operations / self.requested


def machine(rung: Rung, target: Target, head_size: int) -> Machine:
    """Compile a rung's fp16 kernel for an NVIDIA target and read its machine code; needs triton, and no GPU.

    Raises:
        RuntimeError: triton was imported with TRITON_INTERPRET=1.
    """
    import triton

    from ..compile.assembly import read
    from ..compile.launch import record
    from ..compile.occupancy import occupancy

    q, k, v = torch.empty(3, 4, 1, head_size, dtype=torch.float16)
    starts = torch.tensor([0, 4])
    (launch,) = record(target, f"D={head_size} fp16", lambda: rung.attend(q, k, v, starts, 4))
    compiled = launch.compile(target)
    resources = read(compiled, target)
    loop = hot_loop(_disassemble(compiled.asm["cubin"], triton.knobs.nvidia.nvdisasm.path))
    threads = launch.options["num_warps"] * 32
    step = launch.constants.get("BLOCK_M", 1) * launch.constants["BLOCK_N"]
    room = occupancy(
        target, resources.registers, resources.shared, resources.num_warps, resources.tensor_memory
    )
    return Machine(
        kernel=launch.kernel,
        configuration=launch.configuration,
        target=target.name,
        registers=resources.registers,
        spilled=resources.spilled,
        shared=resources.shared,
        programs=room.warps // resources.num_warps,
        per_weight=len(loop) * threads / step,
        kinds={
            kind: sum(bool(re.match(pattern, name)) for name in loop) * threads / step
            for kind, pattern in KINDS.items()
        },
    )


def hot_loop(code: str) -> list[str]:
    """The instructions of the shortest loop that raises powers: the one over whole blocks of keys."""
    labels: dict[str, int] = {}
    names: list[str] = []
    loops: list[list[str]] = []
    for line in code.splitlines():
        label = re.match(r"\s*(\.L_x_\d+):", line)
        if label:
            labels[label[1]] = len(names)
            continue
        instruction = re.match(r"\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\d+\s+)?([A-Z0-9_.]+)(.*);", line)
        if not instruction:
            continue
        names.append(instruction[1])
        goal = re.search(r"\((\.L_x_\d+)\)", instruction[2])
        if instruction[1].startswith("BRA") and goal and goal[1] in labels:
            loops.append(names[labels[goal[1]] :])
    loops = [loop for loop in loops if any(name.startswith("MUFU.EX2") for name in loop)]
    if not loops:
        raise RuntimeError("no loop that raises powers in the machine code")
    return min(loops, key=len)


def kernel_traffic(queries: int, length: int, head_size: int) -> Traffic:
    """Traffic of an fp16 kernel whose programs take `queries` queries each, and read all keys and values."""
    matrix = length * head_size * 2  # bytes
    blocks = -(-length // queries)
    return Traffic(4 * length**2 * head_size, matrix * (2 + 2 * blocks), matrix)


def torch_traffic(attend: Attend, length: int, head_size: int) -> Traffic:
    """Traffic of a PyTorch function in fp16: the bytes of the operands and results of its operators."""
    q, k, v = (torch.empty(length, 1, head_size, dtype=torch.float16, device="meta") for _ in range(3))
    with Ledger() as ledger:
        attend(q, k, v, torch.tensor([0, length]), length)
    return Traffic(4 * length**2 * head_size, ledger.moved, ledger.peak)


class Ledger(TorchDispatchMode):
    """Counts the bytes of operands and results of operators, and those of all tensors alive at the same time.

    Memory that an operator uses internally is not counted.

    Attributes:
        moved: bytes of all operands and results, except views.
        alive: bytes of tensors that were made under this mode and still exist.
        peak: the greatest `alive` so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moved = self.alive = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Count one operator."""
        result = func(*args, **(kwargs or {}))
        given = tensors_in((args, kwargs))
        operands = {x.untyped_storage()._cdata for x in given}
        made = [x for x in tensors_in(result) if x.untyped_storage()._cdata not in operands]
        if not func.is_view and (made or func._schema.is_mutable):  # a view moves nothing
            read = [] if "empty" in func.__name__ else [*given, *made]
            self.moved += sum(x.numel() * x.element_size() for x in read)
        for x in made:
            storage = x.untyped_storage()
            if storage._cdata not in self._known:
                self._known.add(storage._cdata)
                self.alive += storage.nbytes()
                weakref.finalize(storage, self._free, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self.alive)
        return result

    def _free(self, storage: int, size: int) -> None:
        self._known.discard(storage)
        self.alive -= size


def tensors_in(tree: Any) -> list[Tensor]:
    """All tensors of nested arguments."""
    return [x for x in tree_leaves(tree) if isinstance(x, Tensor)]


def _disassemble(cubin: bytes, tool: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder, "kernel.cubin")
        binary.write_bytes(cubin)
        return subprocess.run((tool, "-c", str(binary)), check=True, capture_output=True, text=True).stdout
