"""Occupancy: how many warps of a kernel a multiprocessor holds, by their registers and shared memory.

Nothing is measured. These are the rules by which the hardware allocates resources, as its makers publish
them. NVIDIA: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability", and the toolkit's
occupancy calculator (`cuda_occupancy.h`) for the units in which registers and shared memory are allocated.
AMD: the CDNA 3 instruction set reference, sections 3.6 (registers) and 11 (local data share), and LLVM's
`GCNSubtarget` for the units.

Words are NVIDIA's: a program (thread block, workgroup) of warps (wavefronts) runs on a multiprocessor
(compute unit), each warp on one of its four partitions (SIMDs), which has a quarter of the registers.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..device import Target

PARTITIONS = 4


@dataclass(frozen=True)
class Limits:
    """Resources of one multiprocessor.

    Attributes:
        warps: the most warps that are resident at the same time.
        programs: the most programs that are resident at the same time.
        lone_warps: the same for programs of one warp.
        registers: 32-bit registers for each lane of a partition; all warps of the partition share them.
        register_unit: registers of a lane that are allocated together.
        most_registers: the most registers of one thread.
        shared: bytes of shared memory for all programs.
        most_shared: the most bytes of one program.
        reserved_shared: bytes that the system takes for each program.
        shared_unit: bytes that are allocated together.
        tensor_memory: columns of tensor memory; None where there is none.
    """

    warps: int
    programs: int
    lone_warps: int
    registers: int
    register_unit: int
    most_registers: int
    shared: int
    most_shared: int
    reserved_shared: int
    shared_unit: int
    tensor_memory: int | None = None


@dataclass(frozen=True)
class Occupancy:
    """Warps that a multiprocessor holds.

    Attributes:
        warps: warps that are resident at the same time; 0 if not even one program fits.
        most: the most warps that the hardware holds.
        limit: the resource that runs out first: `registers`, `shared memory`, `tensor memory`, `programs`, or
            `warps` where the multiprocessor is full, or would be with smaller programs.
    """

    warps: int
    most: int
    limit: str

    @property
    def share(self) -> float:
        """`warps / most`."""
        return self.warps / self.most

    def __str__(self) -> str:
        """`16/64 registers`."""
        return f"{self.warps}/{self.most} {self.limit}"


def limits_of(target: Target) -> Limits:
    """Resources of a multiprocessor of a target.

    Raises:
        ValueError: the figures of the target are not known here.
    """
    kib = 1024
    if target.backend == "cuda" and target.arch in (80, 90, 100):
        shared = (164 if target.arch == 80 else 228) * kib
        return Limits(
            warps=64,
            programs=32,
            lone_warps=32,
            registers=65536 // PARTITIONS // 32,
            register_unit=8,  # 256 for a warp
            most_registers=255,
            shared=shared,
            most_shared=shared - kib,
            reserved_shared=kib,
            shared_unit=128,
            tensor_memory=512 if target.arch == 100 else None,
        )
    if target.arch == "gfx942":
        return Limits(
            warps=32,
            programs=16,  # as many as there are barriers, and one warp alone needs none
            lone_warps=32,
            registers=512,
            register_unit=8,
            most_registers=512,
            shared=64 * kib,
            most_shared=64 * kib,
            reserved_shared=0,
            shared_unit=512,
        )
    raise ValueError(f"target: expected sm_80, sm_90, sm_100 or gfx942, got {target.name}")


def occupancy(
    target: Target, registers: int, shared: int, num_warps: int, tensor_memory: int = 0
) -> Occupancy:
    """How many warps of a kernel a multiprocessor holds.

    Args:
        target: the machine.
        registers: registers of a thread.
        shared: bytes of shared memory of a program.
        num_warps: warps of a program.
        tensor_memory: columns of tensor memory of a program.

    Returns:
        Warps, and their limit. Where several resources run out together, the limit is the first of registers,
        shared memory, tensor memory, programs and warps.

    Raises:
        ValueError: the figures of the target are not known here.
    """
    has = limits_of(target)
    programs = {
        "registers": _by_registers(has, registers, num_warps),
        "shared memory": _by_shared(has, shared),
        "tensor memory": _by_tensor_memory(has, tensor_memory),
        "programs": has.lone_warps if num_warps == 1 else has.programs,
        "warps": has.warps // num_warps,
    }
    limit = min(programs, key=programs.__getitem__)
    if programs[limit] == programs["warps"]:
        limit = "warps"
    return Occupancy(programs[limit] * num_warps, has.warps, limit)


def _by_registers(has: Limits, registers: int, num_warps: int) -> int:
    """Programs whose registers fit; a warp's lie in one partition."""
    if registers > has.most_registers:
        return 0
    each = _round_up(max(registers, 1), has.register_unit)
    return has.registers // each * PARTITIONS // num_warps


def _by_shared(has: Limits, shared: int) -> int:
    """Programs whose shared memory fits."""
    if shared > has.most_shared:
        return 0
    each = _round_up(shared + has.reserved_shared, has.shared_unit)
    return has.shared // each if each else has.warps


def _by_tensor_memory(has: Limits, columns: int) -> int:
    """Programs whose tensor memory fits."""
    if columns == 0:
        return has.warps
    return (has.tensor_memory or 0) // columns


def _round_up(count: int, unit: int) -> int:
    return -(-count // unit) * unit
