"""The network in operations of PyTorch, in fp64, beside the padded reference.

Covers `operations`, `outputs`, `positions` and `spec`.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.interop.network_cases import CASES, case, label_head
from xformer.interop.network.forward import forward
from xformer.interop.network.operations import Kind, Operations, Plain, Weight
from xformer.interop.network.spec import NetworkSpec
from xformer.model.heads import PoolingKind


class TorchOperations(Operations[Tensor]):
    """In float64, whatever the weights are in."""

    def weight(self, name: str, value: Weight) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(value)).double()

    def constant(self, value: object, kind: Kind = "float") -> Tensor:
        return torch.tensor(np.array(value), dtype=torch.float64 if kind == "float" else torch.int64)

    def embed(self, name: str, table: Weight, ids: Tensor) -> Tensor:
        return self.weight(name, table)[ids]

    def linear(self, name: str, x: Tensor, weight: Weight, bias: Weight | None) -> Tensor:
        given = None if bias is None else self.weight("", bias)
        return F.linear(x, self.weight(name, weight), given)

    def plain(self, name: Plain, *values: Tensor) -> Tensor:
        called: dict[Plain, Any] = {
            "both": torch.logical_and,
            "modulo": torch.remainder,
            "exclusive_or": torch.bitwise_xor,
            "greater": torch.gt,
            "square_root": torch.sqrt,
            "divide": lambda a, b: a / b if a.is_floating_point() else a // b,
            "softmax": lambda x: x.softmax(-1),
            "mean": lambda x: x.mean(-1, keepdim=True),
            "total": lambda x: x.sum(-1, keepdim=True),
            "rows": lambda table, ids: table[ids],
        }
        return cast(Tensor, (called.get(name) or getattr(torch, name))(*values))

    def cast(self, x: Tensor, kind: Kind) -> Tensor:
        return x.double() if kind == "float" else x.long()

    def gelu(self, x: Tensor, approximate: Literal["none", "tanh"]) -> Tensor:
        return F.gelu(x, approximate=approximate)

    def layer_norm(self, x: Tensor, weight: Tensor, bias: Tensor | None, epsilon: float) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], weight, bias, epsilon)

    def running_total(self, x: Tensor) -> Tensor:
        return x.cumsum(1)

    def cut(self, x: Tensor, begin: int, end: int) -> Tensor:
        return x[..., begin:end]

    def shift(self, x: Tensor, by: Literal[1, -1]) -> Tensor:
        free = torch.zeros_like(x[:, :1])
        return torch.cat((free, x[:, :-1]) if by == 1 else (x[:, 1:], free), 1)

    def join(self, parts: list[Tensor]) -> Tensor:
        return torch.cat(parts, -1)

    def positions(self, ids: Tensor) -> Tensor:
        return torch.arange(ids.shape[1])

    def unsqueeze(self, x: Tensor, *axes: int) -> Tensor:
        for axis in axes:
            x = x.unsqueeze(axis)
        return x

    def squeeze(self, x: Tensor, axis: int) -> Tensor:
        return x.squeeze(axis)

    def split_last(self, x: Tensor, parts: int, width: int) -> Tensor:
        return x.unflatten(-1, (parts, width))

    def merge_last(self, x: Tensor, width: int) -> Tensor:
        return x.flatten(2)

    def transpose(self, x: Tensor, *axes: int) -> Tensor:
        return x.permute(axes)


def run(spec: NetworkSpec, *inputs: np.ndarray) -> dict[str, Tensor]:
    fed = {name: torch.from_numpy(one) for name, one in zip(spec.inputs, inputs, strict=True)}
    return cast(dict[str, Tensor], forward(spec, TorchOperations(), fed))


@pytest.mark.parametrize("in_front", [False, True], ids=["behind", "in front"])
@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_network_is_the_reference(name: str, in_front: bool) -> None:
    one = case(CASES[name], dtype=torch.float64, in_front=in_front)
    found = run(one.spec, one.ids, one.mask)
    for output, expected in one.outputs.items():
        # Tables by position are kept in float32, as a runtime has them.
        torch.testing.assert_close(found[output], expected, rtol=0, atol=1e-6)


def test_without_tables_nothing_is_rounded() -> None:
    one = case(CASES["bigrams"], dtype=torch.float64)
    found = run(one.spec, one.ids, one.mask)
    for output, expected in one.outputs.items():
        torch.testing.assert_close(found[output], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pooling", ["first", "weighted"])
@pytest.mark.parametrize("in_front", [False, True], ids=["behind", "in front"])
def test_poolings(pooling: PoolingKind, in_front: bool) -> None:
    one = case({}, pooling, dtype=torch.float64, in_front=in_front)
    found = run(one.spec, one.ids, one.mask)["sentence_embedding"]
    torch.testing.assert_close(found, one.outputs["sentence_embedding"], rtol=0, atol=1e-6)
    assert not found[1].any()


@pytest.mark.parametrize("hidden", [0, 5])
@pytest.mark.parametrize("example", ["text", "pair", "words"])
def test_heads_by_their_definition(example: str, hidden: int) -> None:
    one = case({}, dtype=torch.float64)
    head = label_head(example, 12, hidden, multi_label=hidden > 0)
    values = {**vars(one.spec), "head": head, "vector_layers": one.spec.n_layers}
    spec = NetworkSpec(**values | {"outputs": ("probabilities", "logits", "last_hidden_state")})
    found = run(spec, *[one.ids, one.mask] * (2 if example == "pair" else 1))
    states, mask = found["last_hidden_state"], torch.from_numpy(one.mask)[..., None]
    x = states if example == "words" else (states * mask).sum(1) / mask.sum(1).clamp(min=1)
    x = x / (x**2).mean(-1, keepdim=True).add(1e-12).sqrt()
    if example == "pair":  # both texts are the same
        x = torch.cat((x, x, 0 * x, x * x), -1)
    if head.dense is not None:
        weight, bias = head.dense
        assert bias is not None
        x = F.gelu(F.linear(x, weight.double(), bias.double()))
    logits = F.linear(x, *(one.double() for one in head.out))
    probabilities = logits.sigmoid() if head.multi_label else logits.softmax(-1)
    kept = mask[..., 0].bool() if example == "words" else slice(None)
    torch.testing.assert_close(found["logits"][kept], logits[kept], rtol=0, atol=1e-10)
    torch.testing.assert_close(found["probabilities"][kept], probabilities[kept], rtol=0, atol=1e-10)


def test_only_what_is_asked_for_is_computed() -> None:
    one = case({"n_layers": 3})
    values = vars(one.spec)
    assert one.spec.depth == 3
    assert NetworkSpec(**values | {"outputs": ("sentence_embedding",)}).depth == 2
    states = NetworkSpec(**values | {"outputs": ("last_hidden_state",), "vector_layers": 0})
    assert set(run(states, one.ids, one.mask)) == {"last_hidden_state"}
