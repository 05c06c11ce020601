"""Compile every kernel for GPUs that are not here, and read what became of it.

Shapes: D head size.

`python -m xformer.kernels.compile_check` prints the table. Nothing runs: Triton compiles for a named target,
and the assembler's own tools say how many registers a thread takes, how much spills out of them, how much
shared memory a program takes, and which matrix instructions are used. Needs the kernels as they are: with
TRITON_INTERPRET=1 there is nothing to compile.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource

from .attention.backward import attention_backward_key_value, attention_backward_query, attention_delta
from .attention.forward import attention_forward
from .attention.triton_backend import DELTA_ROWS, FUSED
from .device import AMPERE, BLACKWELL, CDNA3, HOPPER, Kernel, Target, attention_tile, padded_head_size

TARGETS = (AMPERE, HOPPER, BLACKWELL, CDNA3)
HEAD_SIZES = (32, 64, 128, 256)

_TYPES = {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32"}
_FP32_POINTERS = ("lse", "delta", "grad_lse", "slopes")
_INT32_POINTERS = ("cu_seqlens_q", "cu_seqlens_k")
_FLOATS = ("scale", "score_scale")
_UNIT_STRIDES = ("stride_qd", "stride_kd", "stride_vd", "stride_gd")
_ALIGNED_STRIDES = (
    "stride_qt",
    "stride_qh",
    "stride_kt",
    "stride_kh",
    "stride_vt",
    "stride_vh",
    "stride_gt",
    "stride_gh",
)
_PLAIN_INTEGERS = ("n_blocks", "n_heads", "group", "half_window", "n_rows", "stride_lt", "stride_lh")
_MATRIX_INSTRUCTIONS = {
    "tcgen05": r"tcgen05\.mma",
    "wgmma": r"wgmma\.mma_async",
    "mma": r"(?<!wg)\bmma\.sync",
    "mfma": r"\bv_mfma_",
}


@dataclass(frozen=True)
class Case:
    """One kernel as it would be launched.

    Attributes:
        kernel: `forward`, `key_value`, `query` or `delta`.
        target: for which machine.
        head_size: D.
        dtype: of q, k and v.
        causal: no key ahead of its query.
        window: keys far from their query are hidden.
        alibi: with ALiBi slopes.
        max_length: of the sequences, in tokens; tiles are not made larger.
    """

    kernel: str
    target: Target
    head_size: int
    dtype: torch.dtype = torch.float16
    causal: bool = False
    window: bool = False
    alibi: bool = False
    max_length: int = 512

    @property
    def options(self) -> str:
        """`causal+window`, or `-` for none."""
        return "+".join(name for name in ("causal", "window", "alibi") if getattr(self, name)) or "-"


@dataclass(frozen=True)
class Row:
    """What became of a case.

    Attributes:
        kernel: which.
        target: `sm_90` and so on.
        head_size: D.
        dtype: of q, k and v.
        options: masks and biases.
        tile: `BLOCK_M x BLOCK_N`, warps, stages.
        registers: per thread.
        spilled: bytes a thread stores to and loads from local memory because registers ran out; on AMD,
            registers.
        shared: bytes of shared memory a program takes.
        instructions: count of each kind of matrix instruction in the code.
    """

    kernel: str
    target: str
    head_size: int
    dtype: str
    options: str
    tile: str
    registers: int
    spilled: int
    shared: int
    instructions: dict[str, int]


def check(case: Case) -> Row:
    """Compile one case and read the result.

    Raises:
        RuntimeError: the kernels were imported with TRITON_INTERPRET=1.
    """
    function, constants, options = _launch(case)
    if not isinstance(function, triton.JITFunction):
        raise RuntimeError("kernels are interpreted: unset TRITON_INTERPRET before importing them")
    source = _source(case, function, constants)
    target = GPUTarget(case.target.backend, case.target.arch, case.target.warp_size)
    compiled = triton.compile(source, target=target, options=options)
    if case.target.backend == "hip":
        code = compiled.asm["amdgcn"]
        registers, spilled = (
            _number(r"\.vgpr_count:\s*(\d+)", code),
            _number(r"\.vgpr_spill_count:\s*(\d+)", code),
        )
    else:
        code = compiled.asm["ptx"]
        registers, spilled = _cuda_resources(compiled.asm["cubin"], code, case.target)
    found = {name: len(re.findall(pattern, code)) for name, pattern in _MATRIX_INSTRUCTIONS.items()}
    return Row(
        kernel=case.kernel,
        target=case.target.name,
        head_size=case.head_size,
        dtype=_TYPES[case.dtype],
        options=case.options,
        tile=_tile_text(constants, options),
        registers=registers,
        spilled=spilled,
        shared=compiled.metadata.shared,
        instructions={name: count for name, count in found.items() if count},
    )


def default_cases(
    targets: Sequence[Target] = TARGETS,
    head_sizes: Sequence[int] = HEAD_SIZES,
    dtypes: Sequence[torch.dtype] = (torch.float16, torch.float32),
) -> Iterator[Case]:
    """Every kernel in its default configurations; with each mask and bias at head size 64."""
    for target in targets:
        for head_size in head_sizes:
            for dtype in dtypes:
                for kernel in ("forward", "key_value", "query", "delta"):
                    yield Case(kernel, target, head_size, dtype)
        for kernel in ("forward", "key_value", "query"):
            yield Case(kernel, target, 64, torch.bfloat16)
            yield Case(kernel, target, 64, max_length=32)
            yield Case(kernel, target, 64, causal=True)
            yield Case(kernel, target, 64, window=True)
            yield Case(kernel, target, 64, causal=True, window=True, alibi=True)


def table(rows: Sequence[Row]) -> str:
    """Rows as text in columns."""
    heads = [field.name for field in fields(Row)]
    cells = [heads] + [[_cell(getattr(row, name)) for name in heads] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if something spills on an NVIDIA target."""
    parser = argparse.ArgumentParser(
        prog="python -m xformer.kernels.compile_check", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--target", choices=[t.name for t in TARGETS], action="append", help="only for this one"
    )
    parser.add_argument("--head-size", type=int, action="append", help="only this one; may be repeated")
    parser.add_argument("--json", action="store_true", help="JSON lines, as they come, instead of a table")
    chosen = parser.parse_args(arguments)
    targets = [t for t in TARGETS if not chosen.target or t.name in chosen.target]
    sizes = chosen.head_size or HEAD_SIZES
    rows = []
    for case in default_cases(targets, sizes):
        rows.append(check(case))
        if chosen.json:
            sys.stdout.write(json.dumps(asdict(rows[-1])) + "\n")
            sys.stdout.flush()
    if not chosen.json:
        sys.stdout.write(table(rows) + "\n")
    return int(any(row.spilled for row in rows if row.target.startswith("sm_")))


def _launch(case: Case) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The function, its constants and its compile options, as the launch in `triton_backend` has them."""
    width = padded_head_size(case.head_size)
    if case.kernel == "delta":
        return (
            attention_delta,
            {"D": case.head_size, "BLOCK_D": width, "BLOCK_M": DELTA_ROWS},
            {"num_warps": 4, "num_stages": 1, **FUSED},
        )
    functions: dict[Kernel, Any] = {
        "forward": attention_forward,
        "key_value": attention_backward_key_value,
        "query": attention_backward_query,
    }
    kernel: Kernel = next(name for name in functions if name == case.kernel)
    tile = attention_tile(kernel, case.target, case.head_size, case.dtype, case.max_length)
    constants = {
        "CAUSAL": case.causal,
        "WINDOW": case.window,
        "ALIBI": case.alibi,
        "FOLDED": case.dtype != torch.float32,
        "D": case.head_size,
        "BLOCK_D": width,
        "BLOCK_M": tile.block_m,
        "BLOCK_N": tile.block_n,
    }
    return functions[kernel], constants, {"num_warps": tile.num_warps, "num_stages": tile.num_stages, **FUSED}


def _source(case: Case, function: Any, constants: dict[str, Any]) -> ASTSource:
    """What a launch with aligned, contiguous tensors would specialise on."""
    constants = dict(constants)
    signature: dict[str, str] = {}
    attributes: dict[tuple[int, ...], list[list[Any]]] = {}
    for index, name in enumerate(function.arg_names):
        kind = _kind(name, case)
        if name in _UNIT_STRIDES:
            constants[name] = 1
        elif name == "slopes" and not case.alibi:
            constants[name] = None
        signature[name] = "constexpr" if name in constants else kind
        if name not in constants and (kind.startswith("*") or name in _ALIGNED_STRIDES):
            attributes[(index,)] = [["tt.divisibility", 16]]
    return ASTSource(function, signature, constants, attributes)


def _kind(name: str, case: Case) -> str:
    if name in _FP32_POINTERS:
        return "*fp32"
    if name in _INT32_POINTERS:
        return "*i32"
    if name in _FLOATS:
        return "fp32"
    if name in _ALIGNED_STRIDES or name in _UNIT_STRIDES or name in _PLAIN_INTEGERS:
        return "i32"
    return f"*{_TYPES[case.dtype]}"


def _cuda_resources(cubin: bytes, ptx: str, target: Target) -> tuple[int, int]:
    """Registers a thread, and bytes it spills."""
    with tempfile.TemporaryDirectory() as folder:
        binary, text = Path(folder, "kernel.cubin"), Path(folder, "kernel.ptx")
        binary.write_bytes(cubin)
        usage = _run(triton.knobs.nvidia.cuobjdump.path, "-res-usage", str(binary))
        registers = _number(r"\bREG:(\d+)", usage)
        if _number(r"\bSTACK:(\d+)", usage) == 0:
            return registers, 0  # what spills, spills to the stack
        text.write_text(ptx, encoding="utf-8")
        arch = int(target.arch)
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


def _tile_text(constants: dict[str, Any], options: dict[str, Any]) -> str:
    block = (
        f"{constants['BLOCK_M']}x{constants['BLOCK_N']}"
        if "BLOCK_N" in constants
        else str(constants["BLOCK_M"])
    )
    return f"{block} w{options['num_warps']} s{options['num_stages']}"


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}:{count}" for name, count in value.items()) or "-"
    return str(value)


if __name__ == "__main__":
    raise SystemExit(main())
