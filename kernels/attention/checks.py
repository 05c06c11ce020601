"""What `attention` refuses, and why; and which backend can do what.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size, R rows
of the bias table.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from ..backend import Backend
from ..device import INTERPRETER, target_of, triton_absence
from .options import Rules

MAX_TRITON_HEAD_SIZE = 256
_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def check_inputs(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    max_length_q: int | None,
    max_length_k: int | None,
) -> None:
    """Raise a TypeError or ValueError that names the tensor, what it is, and what was expected."""
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
    for name, starts, longest, tokens in (
        ("q", cu_seqlens_q, max_length_q, q.shape[0]),
        ("k", cu_seqlens_k, max_length_k, k.shape[0]),
    ):
        _check_starts(f"cu_seqlens_{name}", starts, f"max_length_{name}", longest, tokens, q.device)
    if cu_seqlens_q.shape != cu_seqlens_k.shape:
        raise ValueError(
            f"cu_seqlens_q, cu_seqlens_k: expected the same number of sequences, got "
            f"{cu_seqlens_q.shape[0] - 1} and {cu_seqlens_k.shape[0] - 1}"
        )


def _check_starts(
    name: str, starts: Tensor, max_name: str, longest: int | None, tokens: int, device: torch.device
) -> None:
    check_tensor(name, starts)
    if starts.dtype not in (torch.int32, torch.int64):
        raise TypeError(f"{name}: expected int32 or int64, got {starts.dtype}")
    if starts.dim() != 1 or starts.shape[0] < 1:
        raise ValueError(f"{name}: expected shape (sequences + 1,), got {tuple(starts.shape)}")
    if starts.device != device:
        raise ValueError(f"{name}: expected q's device {device}, got {starts.device}")
    if longest is not None:
        _check_integer(max_name, longest)
        if longest < 0:
            raise ValueError(f"{max_name}: expected a length from 0, got {longest}")
    if torch.compiler.is_compiling() or not starts.is_cpu:
        return  # looking at the values would wait for the device, or break the graph
    lengths = starts.diff()
    if starts[0] != 0 or starts[-1] != tokens or (lengths < 0).any():
        raise ValueError(
            f"{name}: expected to rise from 0 to the {tokens} tokens there are, got {starts.tolist()}"
        )
    if longest is not None and lengths.numel() and lengths.max() > longest:
        raise ValueError(
            f"{max_name}: expected at least {int(lengths.max())}, the longest sequence, got {longest}"
        )


def check_options(
    q: Tensor, window: int | None, rules: Rules, seed: int | None, sink: Tensor | None = None
) -> None:
    """Raise a TypeError or ValueError that names the option, its value, and what was expected."""
    n_heads = q.shape[1]
    slopes, table = rules.alibi_slopes, rules.bias_table
    for name, number in (("scale", rules.scale), ("softcap", rules.softcap), ("dropout", rules.dropout)):
        if number is not None and not isinstance(number, (int, float)):
            raise TypeError(f"{name}: expected a number, got {number!r}")
    for name, integer in (("window", window), ("bias_max_distance", rules.bias_max_distance), ("seed", seed)):
        if integer is not None:
            _check_integer(name, integer)
    for name, x in (("alibi_slopes", slopes), ("bias_table", table), ("sink", sink)):
        if x is not None:
            check_tensor(name, x)
    if window is not None and window < 0:
        raise ValueError(f"window: expected a width in tokens from 0, got {window}")
    if slopes is not None and slopes.shape != (n_heads,):
        raise ValueError(
            f"alibi_slopes: expected shape ({n_heads},), one slope a head, got {tuple(slopes.shape)}"
        )
    if table is not None and (table.dim() != 2 or table.shape[1] != n_heads):
        raise ValueError(f"bias_table: expected shape (buckets, {n_heads}), got {tuple(table.shape)}")
    if sink is not None and sink.shape != (n_heads,):
        raise ValueError(f"sink: expected shape ({n_heads},), one logit a head, got {tuple(sink.shape)}")
    for name, x in (("alibi_slopes", slopes), ("bias_table", table), ("sink", sink)):
        if x is not None and not x.is_floating_point():
            raise TypeError(f"{name}: expected floating point, got {x.dtype}")
        if x is not None and x.device != q.device:
            raise ValueError(f"{name}: expected q's device {q.device}, got {x.device}")
    if table is not None:
        sides = 1 if rules.causal else 2
        exact = table.shape[0] // sides // 2
        if table.shape[0] % sides or exact < 1:
            wanted = "at least 2" if rules.causal else "an even number, at least 4, of"
            raise ValueError(f"bias_table: expected {wanted} buckets, got {table.shape[0]}")
        if rules.bias_max_distance <= exact:
            raise ValueError(
                f"bias_max_distance: expected more than {exact}, the distances with buckets of their own, "
                f"got {rules.bias_max_distance}"
            )
    if not -math.inf < rules.scale < math.inf:
        raise ValueError(f"scale: expected a finite factor, got {rules.scale}")
    if rules.softcap is not None and not 0 < rules.softcap < math.inf:
        raise ValueError(f"softcap: expected a positive, finite bound, got {rules.softcap}")
    if not 0 <= rules.dropout < 1:
        raise ValueError(f"dropout: expected a probability in [0, 1), got {rules.dropout}")
    if rules.dropout > 0 and seed is None:
        raise ValueError("seed: expected an integer, since dropout is more than 0; got None")
    if seed is not None and not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed: expected an int64, got {seed}")


def check_tensor(name: str, x: object) -> None:
    """Raise a TypeError if it is none."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(x).__name__}")


def _check_integer(name: str, x: object) -> None:
    if not isinstance(x, int):
        raise TypeError(f"{name}: expected an integer, got {x!r}")


def choose_backend(backend: Backend | None, q: Tensor, rules: Rules) -> Backend:
    """The backend asked for, if it can; or the best that can.

    Raises:
        ValueError: no such backend.
        NotImplementedError: the one asked for cannot do this.
    """
    if backend is None:
        backend = "triton" if q.is_cuda and triton_lacks(q, rules) is None else "torch"
    if backend not in ("triton", "torch", "reference"):
        raise ValueError(f"backend: expected 'triton', 'torch', 'reference' or None, got {backend!r}")
    if backend == "reference":
        return backend
    lack = triton_lacks(q, rules) if backend == "triton" else torch_lacks(rules)
    if lack is not None:
        able = "'reference'" if torch_lacks(rules) else "'torch' or 'reference'"
        raise NotImplementedError(f"backend {backend!r}: {lack}; use {able}")
    return backend


def check_differentiation(backend: Backend, *tensors: Tensor | None) -> None:
    """Refuse what the fused backends would answer with silence: they are differentiated once, in reverse.

    Under `torch.compile` this is not looked at.

    Raises:
        NotImplementedError: an input carries a forward-mode tangent, or a `torch.func` transform's gradient.
    """
    if backend == "reference" or torch.compiler.is_compiling():
        return
    for x in tensors:
        if x is None:
            continue
        if unpack_dual(x).tangent is not None or torch._C._functorch.is_gradtrackingtensor(x):
            raise NotImplementedError(
                f"backend {backend!r}: no forward-mode derivative and no torch.func derivative; "
                "use backend='reference', which has both"
            )


def triton_lacks(q: Tensor, rules: Rules) -> str | None:
    """What keeps the `triton` backend from doing this, in words; None if nothing does."""
    absent = triton_absence(q.device.type)
    if absent is not None:
        return absent
    if q.dtype == torch.float64:
        return "no float64"
    if q.dtype == torch.bfloat16 and q.device.type == "cpu" and target_of(q.device) is INTERPRETER:
        return "Triton's interpreter multiplies bfloat16 wrongly"
    if q.shape[2] > MAX_TRITON_HEAD_SIZE:
        return f"no head size over {MAX_TRITON_HEAD_SIZE}, got {q.shape[2]}"
    return torch_lacks(rules)


def torch_lacks(rules: Rules) -> str | None:
    """What keeps the `torch` backend from doing this, in words; None if nothing does."""
    if rules.alibi_slopes is not None and rules.alibi_slopes.requires_grad and torch.is_grad_enabled():
        return "no gradient for alibi_slopes"
    return None


def _shapes(*tensors: Tensor) -> str:
    return " and ".join(str(tuple(x.shape)) for x in tensors)
