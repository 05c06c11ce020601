"""What can be tuned: which kernels, on which problems, with which tiles.

Shapes: T tokens, B sequences, H heads, D head size, C width.

A trial replaces the one function that a kernel asks for its tile, and only inside a `with` block. That is the
override, and there is no other: nothing in `kernels/` reads what tuning found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from xformer.kernels import attention, attention_statistics, layer_norm
from xformer.kernels.attention.triton.tile_sizes import Kernel, attention_tile
from xformer.kernels.device import Tile, target_of

from .operation import random_normal
from .operations.attention_cases import T5_BUCKETS
from .operations.lengths import messages
from .stopwatch import Work

Results = tuple[Tensor, ...]


@dataclass(frozen=True)
class Trial:
    """One kernel on one problem.

    Attributes:
        kernel: which.
        configuration: the problem's numbers, by name.
        default: the tile that the kernel takes by itself: a frozen dataclass.
        candidates: others.
        using: makes the kernel take a tile, inside a `with` block.
        prepare: draws the inputs; gives the work, whose `timed` returns the results.
    """

    kernel: str
    configuration: Mapping[str, int | str]
    default: Any
    candidates: Sequence[Any]
    using: Callable[[Any], AbstractContextManager[None]]
    prepare: Callable[[], Work]

    @property
    def name(self) -> str:
        """`forward d_head=64 lengths=messages`."""
        return " ".join([self.kernel, *(f"{key}={value}" for key, value in self.configuration.items())])


def trials(device: torch.device, *, small: bool = False) -> list[Trial]:
    """Everything to tune on a device, the most used first.

    Args:
        device: where.
        small: next to nothing, to see that it works: what Triton's interpreter can do in seconds.
    """
    if small:
        return [
            _attention(device, "forward", 16, "small", (20, 12), 2, [Tile(16, 16, 1, 1)]),
            _attention(device, "query", 16, "small", (20, 12), 2, [Tile(16, 16, 1, 1)]),
            _norm(device, 32, 40),
        ]
    problems = (("messages", messages().fill(16_384, 512)), ("2048", (2048,) * 8))
    attentions, norms = [], [_norm(device, width, 32_768) for width in (768, 256, 1024, 64, 4096)]
    for d_head, n_heads in ((64, 12), (128, 16), (32, 12)):
        for name, lengths in problems:
            attentions += [
                _attention(device, kernel, d_head, name, lengths, n_heads, tiles)
                for kernel, tiles in _TILES.items()
            ]
    for name, lengths in problems:
        attentions.append(_attention(device, "query_table", 64, name, lengths, 12, _SQUARE))
        attentions.append(_statistics(device, 64, name, lengths, 12))
    # Head 64 is what most encoders have.
    return [*attentions[:6], *norms[:3], *attentions[6:], *norms[3:]]


# Near the defaults, and what is known to be good on Hopper. (BLOCK_M, BLOCK_N, warps, stages).
_TILES: Mapping[Kernel, Sequence[Tile]] = {
    "forward": [
        Tile(128, 128, 4, 3),
        Tile(128, 128, 8, 2),
        Tile(128, 64, 4, 3),
        Tile(128, 64, 8, 3),
        Tile(64, 64, 4, 3),
        Tile(64, 32, 4, 3),
        Tile(32, 32, 4, 3),
        Tile(16, 32, 4, 3),
    ],
    "key_value": [
        Tile(32, 128, 8, 2),
        Tile(64, 128, 8, 1),
        Tile(64, 64, 4, 2),
        Tile(32, 64, 4, 2),
        Tile(32, 32, 4, 2),
        Tile(16, 16, 4, 2),
    ],
    "query": [
        Tile(128, 32, 8, 2),
        Tile(128, 64, 4, 2),
        Tile(64, 64, 4, 2),
        Tile(64, 32, 4, 3),
        Tile(32, 32, 4, 2),
        Tile(16, 32, 4, 2),
    ],
}
_SQUARE = [Tile(side, side, warps, 1) for side in (64, 32, 16) for warps in (4, 8)]


@contextmanager
def replaced(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """A module with another function under a name, until the block ends."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def attention_with(kernel: Kernel, tile: Tile) -> AbstractContextManager[None]:
    """One of attention's kernels takes a tile; the others take their own."""
    from xformer.kernels.attention.triton import backend as triton_backend

    def choose(asked: Kernel, *problem: Any) -> Tile:
        return tile if asked == kernel else attention_tile(asked, *problem)

    return replaced(triton_backend, "attention_tile", choose)


def _attention(
    device: torch.device,
    kernel: Kernel,
    d_head: int,
    name: str,
    lengths: tuple[int, ...],
    n_heads: int,
    candidates: Sequence[Tile],
) -> Trial:
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32

    def prepare() -> Work:
        normal = random_normal(0, dtype, device)
        q, k, v, grad = (normal(sum(lengths), n_heads, d_head) for _ in range(4))
        starts, longest = _starts(lengths, device), max(lengths)
        table = normal(T5_BUCKETS, n_heads).float() if kernel == "query_table" else None
        leaves = [x.requires_grad_() for x in (q, k, v, table) if x is not None]

        def attend() -> Tensor:
            return attention(
                q,
                k,
                v,
                starts,
                max_length_q=longest,
                max_length_k=longest,
                bias_table=table,
                backend="triton",
            )

        if kernel == "forward":
            return Work(torch.no_grad()(lambda _: (attend(),)))
        return Work(lambda out: torch.autograd.grad(out, leaves, grad), attend)

    configuration = _configuration(d_head, n_heads, name, lengths)
    default = attention_tile(kernel, target_of(device), d_head, dtype, max(lengths))
    return Trial(
        kernel, configuration, default, candidates, lambda tile: attention_with(kernel, tile), prepare
    )  # fmt: skip


def _statistics(
    device: torch.device, d_head: int, name: str, lengths: tuple[int, ...], n_heads: int
) -> Trial:
    from xformer.kernels.attention.weights import statistics_triton
    from xformer.kernels.attention.weights.tile_sizes import statistics_tile

    longest = max(lengths)

    def prepare() -> Work:
        normal = random_normal(0, torch.bfloat16, device)
        q, k, v = (normal(sum(lengths), n_heads, d_head) for _ in range(3))
        starts = _starts(lengths, device)
        _, lse = attention(
            q, k, v, starts, max_length_q=longest, max_length_k=longest, backend="triton", return_lse=True
        )  # fmt: skip

        def measure(_: object) -> Results:
            found = attention_statistics(
                q, k, lse, starts, max_length_q=longest, max_length_k=longest, backend="triton"
            )  # fmt: skip
            return found.entropy, found.largest, found.distance

        return Work(measure)

    configuration = _configuration(d_head, n_heads, name, lengths)
    default = statistics_tile("row_statistics", target_of(device), d_head, torch.bfloat16, longest, False)
    return Trial(
        "row_statistics",
        configuration,
        default,
        _TILES["forward"],
        lambda tile: replaced(statistics_triton, "statistics_tile", lambda *_: tile),
        prepare,
    )


def _norm(device: torch.device, width: int, n_tokens: int) -> Trial:
    """LayerNorm, forward and backward together: rows and warps of either."""
    from xformer.kernels.norm import triton as norm_triton

    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32

    def prepare() -> Work:
        normal = random_normal(0, dtype, device)
        shapes = ((n_tokens, width), (width,), (width,))
        x, weight, bias = (normal(*shape).requires_grad_() for shape in shapes)
        grad = normal(n_tokens, width)

        def both(_: object) -> Results:
            out = layer_norm(x, weight, bias, eps=1e-5, backend="triton")
            return (out.detach(), *torch.autograd.grad(out, (x, weight, bias), grad))

        return Work(both)

    default = norm_triton.plan(target_of(device), width, dtype.itemsize)
    rows, warps = default.backward_rows, default.backward_warps
    candidates = [
        replace(default, rows=max(1, default.rows // 2)),
        replace(default, rows=default.rows * 2),
        replace(default, warps=default.warps * 2),
        replace(default, backward_rows=max(1, rows // 2)),
        replace(default, backward_rows=rows * 2),
        replace(default, backward_warps=max(1, warps // 2)),
        replace(default, backward_rows=max(1, rows // 2), backward_warps=max(1, warps // 2)),
        replace(default, backward_stages=1 if default.backward_stages > 1 else 2),
    ]
    candidates = [one for one in dict.fromkeys(candidates) if one != default]
    return Trial(
        "layer_norm",
        {"width": width, "n_tokens": n_tokens},
        default,
        candidates if device.type == "cuda" else candidates[:2],
        lambda plan: replaced(norm_triton, "plan_on", lambda *_: plan),
        prepare,
    )


def _configuration(d_head: int, n_heads: int, name: str, lengths: tuple[int, ...]) -> dict[str, int | str]:
    return {"d_head": d_head, "n_heads": n_heads, "lengths": name, "n_tokens": sum(lengths)}


def _starts(lengths: tuple[int, ...], device: torch.device) -> Tensor:
    """(B+1,) int32: where each sequence begins, and where the last ends."""
    return torch.tensor([0, *lengths]).cumsum(0).to(device, torch.int32)
