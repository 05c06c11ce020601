"""Checks of attention's tensors: dtypes, shapes, and where sequences begin.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size.
"""

from __future__ import annotations

import torch
from torch import Tensor

_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def check_inputs(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor | None,
    max_length_q: int | None,
    max_length_k: int | None,
) -> tuple[Tensor, int | None]:
    """Check q, k, v and the sequences.

    Returns:
        `cu_seqlens_k` and `max_length_k`; those of the queries where they were left out.

    Raises:
        TypeError: a tensor has the wrong type or dtype; the message names it and what was expected.
        ValueError: a shape or a value does not fit.
    """
    for name, x in (("q", q), ("k", k), ("v", v)):
        check_tensor(name, x)
        if x.dtype not in _DTYPES:
            raise TypeError(f"{name}: expected float64, float32, float16 or bfloat16, got {x.dtype}")
        if x.dtype != q.dtype:
            raise TypeError(f"{name}: expected q's dtype {q.dtype}, got {x.dtype}")
        if x.dim() != 3:
            raise ValueError(f"{name}: expected (tokens, heads, head size), got shape {tuple(x.shape)}")
        if x.device != q.device:
            raise ValueError(f"{name}: expected q's device {q.device}, got {x.device}")
    if min(*q.shape[1:], *k.shape[1:]) < 1:
        raise ValueError(f"q, k: expected at least one head and a head size from 1, got {_shapes(q, k)}")
    if k.shape != v.shape:
        raise ValueError(f"k, v: expected equal shapes, got {_shapes(k, v)}")
    if k.shape[2] != q.shape[2]:
        raise ValueError(f"q, k: expected equal head sizes, got {_shapes(q, k)}")
    if q.shape[1] % k.shape[1]:
        raise ValueError(f"k: expected a number of heads that divides q's {q.shape[1]}, got {k.shape[1]}")
    if cu_seqlens_k is None:
        cu_seqlens_k = cu_seqlens_q
        max_length_k = max_length_q if max_length_k is None else max_length_k
    check_integers(max_length_q=max_length_q, max_length_k=max_length_k)
    _check_starts("q", cu_seqlens_q, max_length_q, q.device)
    _check_starts("k", cu_seqlens_k, max_length_k, q.device)
    if cu_seqlens_q.shape != cu_seqlens_k.shape:
        raise ValueError(
            f"cu_seqlens_q, cu_seqlens_k: expected the same number of sequences, got "
            f"{cu_seqlens_q.shape[0] - 1} and {cu_seqlens_k.shape[0] - 1}"
        )
    if not torch.compiler.is_compiling() and q.is_cpu:  # elsewhere it waits for the device, or breaks a graph
        _check_lengths("q", cu_seqlens_q, max_length_q, q.shape[0])
        if cu_seqlens_k is not cu_seqlens_q or max_length_k != max_length_q or k.shape[0] != q.shape[0]:
            _check_lengths("k", cu_seqlens_k, max_length_k, k.shape[0])
    return cu_seqlens_k, max_length_k


def _check_starts(side: str, starts: Tensor, max_length: int | None, device: torch.device) -> None:
    name = f"cu_seqlens_{side}"
    check_tensor(name, starts)
    if starts.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"{name}: expected int32 or int64, got {starts.dtype}")
    if starts.dim() != 1 or starts.shape[0] < 1:
        raise ValueError(f"{name}: expected shape (sequences + 1,), got {tuple(starts.shape)}")
    if starts.device != device:
        raise ValueError(f"{name}: expected q's device {device}, got {starts.device}")
    if max_length is not None and max_length < 0:
        raise ValueError(f"max_length_{side}: expected a length from 0, got {max_length}")


def _check_lengths(side: str, starts: Tensor, max_length: int | None, n_tokens: int) -> None:
    lengths = starts.diff()
    if starts[0] != 0 or starts[-1] != n_tokens or (lengths < 0).any():
        raise ValueError(
            f"cu_seqlens_{side}: expected to rise from 0 to the {n_tokens} tokens there are, "
            f"got {starts.tolist()}"
        )
    if max_length is not None and lengths.numel() and lengths.max() > max_length:
        raise ValueError(
            f"max_length_{side}: expected at least {int(lengths.max())}, the longest sequence, "
            f"got {max_length}"
        )


def check_tensor(name: str, x: object) -> None:
    """Raise a TypeError if x is no tensor."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(x).__name__}")


def check_shape(name: str, x: Tensor, shape: tuple[int, ...], what: str, device: torch.device) -> None:
    """Raise a ValueError if a tensor has another shape, or is on another device than q."""
    if x.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, {what}, got {tuple(x.shape)}")
    if x.device != device:
        raise ValueError(f"{name}: expected q's device {device}, got {x.device}")


def check_integers(**values: object) -> None:
    """Raise a TypeError for the first that is neither None nor an integer."""
    for name, x in values.items():
        if x is not None and not isinstance(x, int):
            raise TypeError(f"{name}: expected an integer, got {x!r}")


def longest_sequence(cu_seqlens: Tensor, max_length: int | None) -> int:
    """`max_length` if it was given; otherwise the longest sequence's length, which waits for the device."""
    if max_length is not None:
        return max_length
    return int(cu_seqlens.diff().max()) if cu_seqlens.shape[0] > 1 else 0


def _shapes(*tensors: Tensor) -> str:
    return " and ".join(str(tuple(x.shape)) for x in tensors)
