"""Rotary position embedding of packed queries and keys (Su et al. 2021).

Shapes: T tokens, H query heads, G key heads, D head size, P positions.

Pair j of a head is rotated by an angle, the token's position times the frequency of the pair:

    x'_1 = x_1 cos - x_2 sin        x'_2 = x_2 cos + x_1 sin        cos, sin = table[position, j]

A pair is (j, j + D/2), as in GPT-NeoX and ModernBERT, or neighbours (2j, 2j + 1), as in the paper. A rotation
is orthogonal, so the gradient is rotated back: the same map with -sin.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..backend import Backend
from ..operation import Operation, choose
from .autograd import differentiate, fake, save


def rotary(
    q: Tensor,
    k: Tensor,
    positions: Tensor,
    cos: Tensor,
    sin: Tensor,
    *,
    interleaved: bool = False,
    backend: Backend | None = None,
) -> tuple[Tensor, Tensor]:
    """Rotate queries and keys by the angles of their positions.

    Args:
        q: (T, H, D), D even, any strides, such as a slice of a projection to q, k and v.
        k: (T, G, D), of q's dtype.
        positions: (T,) int64 or int32, each in 0 … P - 1. Another value raises on `torch` on a CPU; on a GPU
            and on `triton` its token may become NaN.
        cos: (P, D/2) cosines in fp32, because the angles of distant positions need it, or fp64. A constant:
            it gets a gradient only on `reference`.
        sin: (P, D/2) sines, of cos's dtype.
        interleaved: pairs are neighbours instead of halves.
        backend: `"triton"`: one kernel for q and k, for GPUs (or TRITON_INTERPRET=1). `"torch"`: PyTorch's
            kernels, fastest where pairs are neighbours: a product of complex numbers. `"reference"`: the
            definition, differentiable any number of times. Left out: `"triton"` on a GPU where it can,
            otherwise `"torch"`.

    Returns:
        The rotated q (T, H, D) and k (T, G, D), contiguous.

    Raises:
        ValueError: shapes or dtypes do not fit together.
        NotImplementedError: the backend asked for cannot do this; the message names one that can.
    """
    _check(q, k, positions, cos, sin)
    chosen = choose(backend, q, "no float64" if q.dtype == torch.float64 else None, k, cos, sin)
    if chosen == "reference":
        return (
            reference_rotary(q, positions, cos, sin, interleaved),
            reference_rotary(k, positions, cos, sin, interleaved),
        )
    if cos.requires_grad or sin.requires_grad:
        raise NotImplementedError(f"backend {chosen!r}: no gradient for cos and sin; use 'reference'")
    if chosen == "torch":
        turned: tuple[Tensor, Tensor] = _torch(q, k, positions, cos, sin, interleaved)
        return turned
    from .triton import turn  # triton exists only on some machines

    turned = turn(q, k, positions.contiguous(), cos.contiguous(), sin.contiguous(), interleaved)
    return turned


def reference_rotary(x: Tensor, positions: Tensor, cos: Tensor, sin: Tensor, interleaved: bool) -> Tensor:
    """The definition, for queries or keys."""
    cos, sin = cos[positions][:, None], sin[positions][:, None]  # (T, 1, D/2)
    if interleaved:
        first, second = x[..., ::2], x[..., 1::2]
    else:
        first, second = x.chunk(2, dim=-1)
    pairs = (first * cos - second * sin, second * cos + first * sin)
    turned = torch.stack(pairs, dim=-1).flatten(-2) if interleaved else torch.cat(pairs, dim=-1)
    return turned.to(x.dtype)


def _check(q: Tensor, k: Tensor, positions: Tensor, cos: Tensor, sin: Tensor) -> None:
    if q.dim() != 3 or q.shape[2] % 2 or not q.is_floating_point():
        expected = "floating point (tokens, heads, an even head size)"
        raise ValueError(f"q: expected {expected}, got {q.dtype} {tuple(q.shape)}")
    tokens, _, head_size = q.shape
    if k.dim() != 3 or k.shape[0] != tokens or k.shape[2] != head_size or k.dtype != q.dtype:
        expected = f"{q.dtype} ({tokens}, heads, {head_size}), as q"
        raise ValueError(f"k: expected {expected}, got {k.dtype} {tuple(k.shape)}")
    if positions.shape != q.shape[:1] or positions.dtype not in (torch.int64, torch.int32):
        got = f"{positions.dtype} {tuple(positions.shape)}"
        raise ValueError(f"positions: expected integers ({tokens},), got {got}")
    if cos.dim() != 2 or cos.shape[1] * 2 != head_size or cos.shape != sin.shape or cos.dtype != sin.dtype:
        got = f"{cos.dtype} {tuple(cos.shape)} and {sin.dtype} {tuple(sin.shape)}"
        raise ValueError(f"cos, sin: expected (positions, {head_size // 2}) of one dtype, got {got}")


def _turn(
    q: Tensor, k: Tensor, positions: Tensor, cos: Tensor, sin: Tensor, interleaved: bool
) -> tuple[Tensor, Tensor]:
    if interleaved:
        if cos.shape[0] < positions.shape[0]:
            turns = torch.complex(cos, sin).index_select(0, positions)[:, None]
        else:
            turns = torch.complex(cos.index_select(0, positions), sin.index_select(0, positions))[:, None]
        return _turn_neighbours(q, turns), _turn_neighbours(k, turns)
    cos, sin = cos.index_select(0, positions), sin.index_select(0, positions)[:, None]
    both_cos = torch.cat((cos, cos), 1)[:, None]
    return _turn_halves(q, both_cos, sin), _turn_halves(k, both_cos, sin)


def _turn_neighbours(x: Tensor, turns: Tensor) -> Tensor:
    wide = x.to(turns.dtype.to_real())
    if wide.stride(2) != 1 or any(n % 2 for n in (wide.stride(0), wide.stride(1), wide.storage_offset())):
        wide = wide.contiguous()  # a complex view needs pairs at even offsets
    pairs = torch.view_as_complex(wide.unflatten(2, (wide.shape[2] // 2, 2)))
    return torch.view_as_real(pairs * turns).view(wide.shape).to(x.dtype).contiguous()


def _turn_halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """One product of whole rows, to which the products across the halves are added in place."""
    wide = x.to(cos.dtype)
    first, second = wide.chunk(2, dim=-1)
    turned = wide * cos
    turned_first, turned_second = turned.chunk(2, dim=-1)
    turned_first.addcmul_(second, sin, value=-1)
    turned_second.addcmul_(first, sin)
    return turned.to(x.dtype).contiguous()


def _turn_back(
    grad_q: Tensor, grad_k: Tensor, positions: Tensor, cos: Tensor, sin: Tensor, interleaved: bool
) -> tuple[Tensor, Tensor]:
    return _turn(grad_q, grad_k, positions, cos, -sin, interleaved)


_torch = Operation(
    "rotary_torch",
    _turn,
    _turn_back,
    fake=fake,
    fake_backward=fake,
    save=save,
    differentiate=differentiate,
    visible=2,
)
