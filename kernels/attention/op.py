"""`attention`: the public function in front of every backend.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads (G divides H), D head
size, R rows of the bias table; in one sequence M queries and N keys.
"""

from __future__ import annotations

import math
from typing import Literal, TypedDict, Unpack, overload

from torch import Tensor

from ..backend import Backend
from .checks import check_inputs, longest_sequence
from .dispatch import choose_backend
from .options import AttentionOptions
from .reference import reference_attention
from .torch.backend import attention_torch


class _Options(TypedDict, total=False):
    """The keywords of `attention`, except `return_lse`, which decides what it returns."""

    max_length_q: int | None
    max_length_k: int | None
    causal: bool
    window: int | None
    alibi_slopes: Tensor | None
    bias_table: Tensor | None
    bias_max_distance: int
    softcap: float | None
    scale: float | None
    dropout: float
    seed: int | None
    sink: Tensor | None
    allow_tf32: bool
    backend: Backend | None


@overload
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor | None = None,
    *,
    return_lse: Literal[False] = False,
    **options: Unpack[_Options],
) -> Tensor: ...


@overload
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor | None = None,
    *,
    return_lse: Literal[True],
    **options: Unpack[_Options],
) -> tuple[Tensor, Tensor]: ...


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor | None = None,
    *,
    max_length_q: int | None = None,
    max_length_k: int | None = None,
    causal: bool = False,
    window: int | None = None,
    alibi_slopes: Tensor | None = None,
    bias_table: Tensor | None = None,
    bias_max_distance: int = 128,
    softcap: float | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    seed: int | None = None,
    sink: Tensor | None = None,
    allow_tf32: bool = False,
    backend: Backend | None = None,
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Multi-head attention over packed sequences: each sequence attends within itself, and nothing is padded.

    The distance from query i to key j of a sequence with M queries and N keys is `j - i - (N - M)`: the two
    are aligned at their ends, so that with a key/value cache the last query is the newest key. Mask and bias
    are functions of that distance.

    A query with nothing to attend to (a sequence without keys; causal with more queries than keys) gets
    output 0, lse -inf (with a sink: the sink) and gradient 0. Inputs and incoming gradients are never
    changed.

    Args:
        q: (T, H, D), fp64, fp32, fp16 or bf16, any strides.
        k: (S, G, D), of q's dtype. Query head h reads key/value head h // (H / G).
        v: (S, G, D).
        cu_seqlens_q: (B+1,) int32 or int64: the queries of sequence b are rows `cu_seqlens_q[b]` to
            `cu_seqlens_q[b + 1]`. From 0 to T. Checked on the CPU only: on a GPU that would wait for the
            device.
        cu_seqlens_k: (B+1,), the same for keys; left out, sequences have as many keys as queries.
        max_length_q: at least the greatest number of queries in a sequence. `triton` sizes its grid by it.
            Left out, it is read from `cu_seqlens_q`, which waits for the device and cannot be compiled.
        max_length_k: the same for keys.
        causal: attend only over distances up to 0.
        window: total width in tokens, as in ModernBERT: attend only over distances of at most window // 2, in
            either direction.
        alibi_slopes: (H,): the score loses slope · |distance| (Press et al. 2022). A constant; only
            `reference` gives it a gradient.
        bias_table: (R, H): the score gains `bias_table[bucket, head]`, T5's buckets of the distance (Raffel
            et al. 2020), in both directions unless causal. Gets a gradient. See `relative_buckets`.
        bias_max_distance: distances from here on share T5's last bucket.
        softcap: scores become `softcap · tanh(score / softcap)`, before any bias is added.
        scale: factor of q·k; 1/√D if left out.
        dropout: probability of dropping an attention weight; needs `seed`.
        seed: any int64; the same seed gives the same mask on every backend. lse is that of the weights before
            dropout.
        sink: (H,): a logit for each head that joins the softmax of each row and has no value, so that a row
            can attend to nothing. Gets a gradient; lse includes it.
        allow_tf32: `triton` may round the factors of fp32 products to tf32 (10 bits of mantissa), which
            tensor cores multiply. Other backends go by PyTorch's own settings.
        backend: `"triton"`: fused kernels for GPUs (or TRITON_INTERPRET=1). `"torch"`: PyTorch's own kernels,
            fast on the CPU. `"reference"`: the definition, slow, differentiable any number of times. Each
            raises for what it cannot do, except that under `torch.compile` the first two give zeros as
            forward-mode derivatives. Left out: `"triton"` on a GPU, where it can do what is asked; otherwise
            `"torch"`; `"reference"` under transforms of `torch.func` and for forward-mode derivatives.
        return_lse: also return the log of each row's sum of exponentiated scores.

    Returns:
        out (T, H, D) in q's dtype, contiguous; with `return_lse` also lse (T, H) in fp32, or fp64 for fp64
        inputs. Both are differentiable.

    Raises:
        TypeError: a tensor has a dtype or an argument a type that does not fit.
        ValueError: shapes or options do not fit together.
        NotImplementedError: the backend asked for cannot do this; the message names one that can.
    """
    cu_seqlens_k, max_length_k = check_inputs(q, k, v, cu_seqlens_q, cu_seqlens_k, max_length_q, max_length_k)
    options = AttentionOptions(
        1.0 / math.sqrt(q.shape[2]) if scale is None else scale,
        causal, window, alibi_slopes, bias_table, bias_max_distance, softcap, dropout, seed, sink,
    )  # fmt: skip
    options.check(q)
    chosen = choose_backend(backend, q, options, k, v)
    if chosen == "reference":
        out, lse = reference_attention(q, k, v, cu_seqlens_q, cu_seqlens_k, options)
    elif chosen == "torch":
        out, lse = attention_torch(q, k, v, cu_seqlens_q, cu_seqlens_k, *options.flat())
    else:
        from .triton.backend import attention_triton  # triton exists only on some machines

        lengths = longest_sequence(cu_seqlens_q, max_length_q), longest_sequence(cu_seqlens_k, max_length_k)
        out, lse = attention_triton(
            q, k, v, cu_seqlens_q, cu_seqlens_k, *options.flat(), *lengths, allow_tf32, None
        )
    return (out, lse) if return_lse else out
