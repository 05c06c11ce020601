"""Calls of every operation in its default configurations, whose launches are compiled and checked.

Shapes: T tokens, H heads, D head size, C width, F width of a gated unit, V vocabulary, P positions.

Tensors are small, on the CPU and not filled: `launch.record` takes them for a machine's, and no kernel runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..attention import attention, attention_rows, attention_statistics
from ..embedding_norm.op import embedding_norm
from ..glu.op import Activation, glu, squared_relu
from ..linear_cross_entropy import linear_cross_entropy
from ..norm.layer_norm import layer_norm
from ..norm.rms_norm import rms_norm
from ..rotary.op import rotary

T, H, P = 64, 12, 512
FP16, BF16, FP32 = torch.float16, torch.bfloat16, torch.float32
_NAMES = {FP16: "fp16", BF16: "bf16", FP32: "fp32"}


class Call(NamedTuple):
    """A use of an operation, forward and backward.

    Attributes:
        configuration: such as `D=64 fp16 causal`.
        run: makes the call.
    """

    configuration: str
    run: Callable[[], object]


def calls() -> Iterator[Call]:
    """Every call."""
    yield from _attention_calls()
    yield from _statistics_calls()
    for dtype in (BF16, FP16, FP32):
        for options in (False, True):
            label = f"{_NAMES[dtype]}{' bias smoothing z-loss' if options else ''}"
            yield Call(label, partial(_linear_cross_entropy, dtype, options))
    yield Call("bf16 V=1003", partial(_linear_cross_entropy, BF16, False, 1003))
    for width, dtype in ((64, FP16), (256, BF16), (768, BF16), (1024, FP32), (4096, FP16), (8192, FP32)):
        full = width != 256
        label = f"C={width} {_NAMES[dtype]} {'layer, bias, residual' if full else 'rms'}"
        yield Call(label, partial(_norm, width, dtype, full))
    for width, dtype, full in ((256, BF16, False), (768, BF16, True), (1024, FP32, True)):
        label = f"C={width} {_NAMES[dtype]}{' positions, bias' if full else ''}"
        yield Call(label, partial(_embedding_norm, width, dtype, full))
    for size, dtype, interleaved in (
        (32, FP16, False),
        (64, BF16, False),
        (64, BF16, True),
        (128, FP32, False),
    ):
        label = f"D={size} {_NAMES[dtype]} {'neighbours' if interleaved else 'halves'}"
        yield Call(label, partial(_rotary, size, dtype, interleaved))
    activations: tuple[tuple[Activation, torch.dtype], ...] = (
        ("gelu", BF16), ("gelu_tanh", FP16), ("silu", BF16), ("relu", FP32)
    )  # fmt: skip
    for activation, dtype in activations:
        yield Call(f"F=1152 {_NAMES[dtype]} {activation}", partial(_glu, activation, dtype))
    yield Call("F=1152 bf16", partial(_squared_relu, BF16))


# Compiling takes a second or two each, for each target. So an option stands alone where it decides about a
# tile or is what most models have; the others stand together, in the case that takes the most registers.
def _attention_calls() -> Iterator[Call]:
    """Head sizes are powers of two and a sum of two; in half precision 72 and 96 have tiles of 80 and 128."""
    yield from (_call(_attention, size) for size in (32, 64, 80, 128, 256))
    yield from (_call(_attention, size, FP32) for size in (32, 64, 80, 96, 128, 256))
    yield _call(_attention, 64, FP16, 32)
    yield _call(_attention, 64, FP16, 512, "causal", "window", "alibi")
    yield _call(_attention, 64, FP16, 512, "dropout")
    yield _call(_attention, 64, BF16, 512, "causal", "bias", "softcap", "dropout", "sink")
    yield _call(_attention, 64, FP32, 512, "tf32")
    yield _call(_attention, 128, FP16, 512, "bias")


def _statistics_calls() -> Iterator[Call]:
    yield from (_call(_statistics, size) for size in (64, 96, 128, 256))
    yield from (_call(_statistics, size, FP32) for size in (64, 128))
    yield _call(_statistics, 64, BF16, 32)
    options = ("causal", "window", "alibi", "bias", "softcap", "sink", "marked")
    yield _call(_statistics, 64, BF16, 512, *options)
    yield _call(_statistics, 64, FP32, 512, "tf32")
    yield _call(_statistics, 128, FP16, 512, "bias")


def _call(
    run: Callable[[int, torch.dtype, int, tuple[str, ...]], None],
    size: int,
    dtype: torch.dtype = FP16,
    longest: int = 512,
    *options: str,
) -> Call:
    short = [] if longest == 512 else [f"N={longest}"]
    label = " ".join([f"D={size}", _NAMES[dtype], *short, *options])
    return Call(label, partial(run, size, dtype, longest, options))


def _attention(size: int, dtype: torch.dtype, longest: int, options: tuple[str, ...]) -> None:
    q, k, v = (_leaf(T, H, size, dtype=dtype) for _ in range(3))
    _differentiate(attention(q, k, v, **_options(longest, options)))


def _statistics(size: int, dtype: torch.dtype, longest: int, options: tuple[str, ...]) -> None:
    q, k = (_leaf(T, H, size, dtype=dtype) for _ in range(2))
    chosen = _options(longest, tuple(name for name in options if name != "marked"))
    lse, marked = torch.zeros(T, H), torch.zeros(T, dtype=torch.bool) if "marked" in options else None
    attention_statistics(q, k, lse, **chosen, marked=marked, received=True)
    chosen.pop("allow_tf32", None)
    attention_rows(q, k, lse, torch.arange(T), **chosen)


def _options(longest: int, names: tuple[str, ...]) -> dict[str, Any]:
    """Arguments of an attention over two sequences, none of which may be longer than `longest`."""
    known: dict[str, dict[str, Any]] = {
        "causal": {"causal": True},
        "window": {"window": 128},
        "alibi": {"alibi_slopes": torch.zeros(H)},
        "bias": {"bias_table": _leaf(32, H, dtype=FP32)},
        "softcap": {"softcap": 30.0},
        "dropout": {"dropout": 0.1, "seed": 1},
        "sink": {"sink": _leaf(H, dtype=FP32)},
        "tf32": {"allow_tf32": True},
    }
    starts = torch.tensor([0, T // 2, T], dtype=torch.int32)
    result: dict[str, Any] = {"cu_seqlens_q": starts, "max_length_q": longest, "backend": "triton"}
    for name in names:
        result |= known[name]
    return result


def _linear_cross_entropy(dtype: torch.dtype, options: bool, vocabulary: int = 1024) -> None:
    hidden, weight = _leaf(T, 16, dtype=dtype), _leaf(vocabulary, 16, dtype=dtype)
    chosen: dict[str, Any] = {"backend": "triton"}
    if options:
        chosen |= {"bias": _leaf(vocabulary, dtype=dtype), "label_smoothing": 0.1, "z_loss": 1e-4}
    _differentiate(linear_cross_entropy(hidden, weight, torch.zeros(T, dtype=torch.int64), **chosen))


def _norm(width: int, dtype: torch.dtype, full: bool) -> None:
    x, weight = _leaf(T, width, dtype=dtype), _leaf(width, dtype=dtype)
    if full:
        bias, residual = _leaf(width, dtype=dtype), _leaf(T, width, dtype=dtype)
        _differentiate(*layer_norm(x, weight, bias, eps=1e-5, residual=residual, backend="triton"))
    else:
        _differentiate(rms_norm(x, weight, eps=1e-5, backend="triton"))


def _embedding_norm(width: int, dtype: torch.dtype, full: bool) -> None:
    tokens = torch.arange(T)
    table, weight = _leaf(1024, width, dtype=dtype), _leaf(width, dtype=dtype)
    chosen: dict[str, Any] = {"eps": 1e-5, "backend": "triton"}
    if full:
        chosen |= {"positions": tokens, "position_table": _leaf(P, width, dtype=dtype)}
        chosen["bias"] = _leaf(width, dtype=dtype)
    _differentiate(embedding_norm(tokens, table, weight, **chosen))


def _rotary(size: int, dtype: torch.dtype, interleaved: bool) -> None:
    q, k, _ = _leaf(T, 3, H, size, dtype=dtype).unbind(1)
    cos = sin = torch.zeros(P, size // 2)
    _differentiate(*rotary(q, k, torch.arange(T), cos, sin, interleaved=interleaved, backend="triton"))


def _glu(activation: Activation, dtype: torch.dtype) -> None:
    _differentiate(glu(_leaf(T, 2 * 1152, dtype=dtype), activation, backend="triton"))


def _squared_relu(dtype: torch.dtype) -> None:
    _differentiate(squared_relu(_leaf(T, 1152, dtype=dtype), backend="triton"))


def _leaf(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, requires_grad=True)


def _differentiate(*outputs: Tensor) -> None:
    torch.autograd.backward(outputs, [torch.empty_like(x) for x in outputs])
