"""Attention problems drawn at random, and their errors under the rule of `xformer.kernels.testing`.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads, D head size.

Gradients of parameters (a bias table, a sink) are few numbers, whose largest error is a matter of luck:
there, one rounding to the dtype of q is allowed too.

Gradients of q, k and the table are made of differences dP - delta. Where a row sees one key, dP and delta are
the same sum. A kernel adds it up in two orders, so that the difference is all rounding; autograd's softmax
subtracts a number from itself. So one rounding of what is subtracted is allowed as well. The table's gradient
sums such differences over all rows, whose roundings are independent: the root of the sum of their squares.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from itertools import accumulate
from typing import Any, Literal

import torch
from torch import Tensor

from xformer.kernels import attention
from xformer.kernels.attention.options import AttentionOptions
from xformer.kernels.backend import Backend
from xformer.kernels.testing import EPS, ROUNDING, Error, largest
from xformer.kernels.testing import errors as errors_of

PARAMETERS = ("grad_bias_table", "grad_sink")


@dataclass(frozen=True)
class Problem:
    """An attention problem to be drawn at random.

    Attributes:
        lengths_q: queries of each sequence.
        lengths_k: keys of each sequence; as many as queries if None.
        n_heads: H.
        n_kv_heads: G.
        head_size: D.
        dtype: of q, k and v.
        layout: of q, k and v in memory: `contiguous`, slices of one `fused` tensor's rows, or heads innermost
            (`transposed`). Everything else that is not contiguous then is a column of something wider.
        expanded: incoming gradients are one row, expanded.
        alibi: with slopes.
        bias_buckets: rows of a T5 table, or None.
        sink: with a sink.
        options: further arguments of `attention`.
    """

    lengths_q: tuple[int, ...]
    lengths_k: tuple[int, ...] | None = None
    n_heads: int = 2
    n_kv_heads: int = 2
    head_size: int = 16
    dtype: torch.dtype = torch.float32
    layout: Literal["contiguous", "fused", "transposed"] = "contiguous"
    expanded: bool = False
    alibi: bool = False
    bias_buckets: int | None = None
    sink: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inputs:
    """What a problem draws.

    Attributes:
        leaves: q, k, v, and the bias table and the sink if there are any, by name.
        grad_out: (T, H, D).
        grad_lse: (T, H).
        arguments: everything else that `attention` takes.
    """

    leaves: dict[str, Tensor]
    grad_out: Tensor
    grad_lse: Tensor
    arguments: dict[str, Any]

    def to(self, dtype: torch.dtype) -> Inputs:
        """The same numbers in another dtype."""
        stat = torch.promote_types(dtype, torch.float32)
        return Inputs(
            {name: leaf.to(dtype) for name, leaf in self.leaves.items()},
            self.grad_out.to(dtype),
            self.grad_lse.to(stat),
            self.arguments,
        )


def draw(problem: Problem, device: torch.device | str = "cpu", seed: int = 0) -> Inputs:
    """Draw the inputs of a problem; the same seed gives the same."""
    random = torch.Generator().manual_seed(seed)
    lengths_k = problem.lengths_q if problem.lengths_k is None else problem.lengths_k
    tokens = sum(problem.lengths_q)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64).to(problem.dtype)

    def packed(tokens: int, heads: int) -> Tensor:
        if problem.layout == "contiguous":
            return normal(tokens, heads, problem.head_size).to(device)
        if problem.layout == "fused":
            return normal(tokens, 2, heads, problem.head_size).to(device)[:, 1]
        return normal(problem.head_size, tokens, heads).to(device).permute(1, 2, 0)

    def placed(x: Tensor) -> Tensor:
        return x if problem.layout == "contiguous" else torch.stack([x, torch.full_like(x, 7)], -1)[..., 0]

    # As in mixed-precision training, where half-precision inputs meet fp32 parameters.
    stat = torch.promote_types(problem.dtype, torch.float32)
    leaves = {
        "q": packed(tokens, problem.n_heads),
        "k": packed(sum(lengths_k), problem.n_kv_heads),
        "v": packed(sum(lengths_k), problem.n_kv_heads),
    }
    if problem.bias_buckets is not None:
        leaves["bias_table"] = placed(normal(problem.bias_buckets, problem.n_heads).to(stat).to(device))
    if problem.sink:
        leaves["sink"] = placed(normal(problem.n_heads).to(stat).to(device))
    rows = (1, 1) if problem.expanded else (tokens, problem.n_heads)
    arguments = {
        "cu_seqlens_q": placed(_starts(problem.lengths_q, device)),
        "cu_seqlens_k": placed(_starts(lengths_k, device)),
        "max_length_q": max(problem.lengths_q, default=0),
        "max_length_k": max(lengths_k, default=0),
        **problem.options,
    }
    if problem.alibi:
        arguments["alibi_slopes"] = placed(torch.rand(problem.n_heads, generator=random).to(device))
    return Inputs(
        leaves,
        normal(*rows, problem.head_size).to(device).expand(tokens, problem.n_heads, problem.head_size),
        normal(*rows).to(stat).to(device).expand(tokens, problem.n_heads),
        arguments,
    )


def solve(inputs: Inputs, backend: Backend, block: tuple[int, int] | None = None) -> dict[str, Tensor]:
    """Outputs and all gradients of one backend.

    Args:
        inputs: what to attend over.
        backend: which one.
        block: (BLOCK_M, BLOCK_N) of the Triton kernels instead of the device's.

    Returns:
        `out`, `lse`, and `grad_` of each leaf.
    """
    leaves = {name: leaf.detach().requires_grad_() for name, leaf in inputs.leaves.items()}
    if block is None:
        everything: dict[str, Any] = {**leaves, **inputs.arguments, "backend": backend, "return_lse": True}
        out, lse = attention(**everything)
    else:
        out, lse = _with_blocks(leaves, inputs.arguments, block)
    # A row that sees nothing has lse -inf, where the gradient of, say, lse² is infinite too.
    grad_lse = torch.where(lse.isinf(), lse.detach(), inputs.grad_lse)
    grads = torch.autograd.grad((out, lse), list(leaves.values()), (inputs.grad_out, grad_lse))
    return {"out": out.detach(), "lse": lse.detach()} | {
        f"grad_{name}": g for name, g in zip(leaves, grads, strict=True)
    }


def errors(inputs: Inputs, solution: dict[str, Tensor]) -> dict[str, Error]:
    """Errors of a solution against fp64, beside those of plain PyTorch in the same dtype."""
    exact = solve(inputs.to(torch.float64), "reference")
    rounding = {name: _rounding(name, inputs, largest(exact[name])) for name in exact}
    return errors_of(solution, solve(inputs, "reference"), exact, rounding)


def _rounding(name: str, inputs: Inputs, top: float) -> float:
    """The share of its largest value by which a result may be off, however exact PyTorch is."""
    q, k, v = (inputs.leaves[x].double() for x in "qkv")
    share = ROUNDING
    if name in PARAMETERS:
        share += torch.finfo(inputs.leaves["q"].dtype).eps / 2
    if name not in ("grad_q", "grad_k", "grad_bias_table") or 0 in (top, q.numel(), v.numel()):
        return share
    kept_scale = 1.0 / (1.0 - inputs.arguments.get("dropout", 0.0))
    # (T, H): |dP| is at most that in a row, and so is delta.
    subtracted = kept_scale * inputs.grad_out.double().norm(dim=-1) * v.norm(dim=-1).max()
    if name == "grad_bias_table":
        return share + EPS * float(subtracted.norm(dim=0).max()) / top
    scale = abs(inputs.arguments.get("scale", q.shape[2] ** -0.5))
    return share + EPS * scale * float(subtracted.max()) * largest(k if name == "grad_q" else q) / top


def _with_blocks(
    leaves: dict[str, Tensor], arguments: dict[str, Any], block: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    from xformer.kernels.attention.triton.backend import (
        attention_triton,  # triton exists only on some machines
    )

    everything = {**leaves, **arguments}
    starts = (everything[name] for name in ("cu_seqlens_q", "cu_seqlens_k"))
    lengths = (everything[name] for name in ("max_length_q", "max_length_k"))
    out, lse = attention_triton(
        leaves["q"], leaves["k"], leaves["v"], *starts, *options_of(everything).flat(), *lengths,
        arguments.get("allow_tf32", False), block,
    )  # fmt: skip
    return out, lse


def options_of(everything: dict[str, Any]) -> AttentionOptions:
    """The options among `attention`'s arguments by name."""
    names = {field.name for field in fields(AttentionOptions)} & set(everything)
    options = {"scale": everything["q"].shape[2] ** -0.5} | {name: everything[name] for name in names}
    return AttentionOptions(**options)


def _starts(lengths: tuple[int, ...], device: torch.device | str) -> Tensor:
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)
