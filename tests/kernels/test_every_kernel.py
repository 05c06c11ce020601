"""What holds for every public operation alike; what is particular to one is in its own tests.

Shapes: T tokens, C width, H heads, D head size, V vocabulary.

Covers xformer.kernels.backend, device and operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from xformer import kernels
from xformer.kernels.backend import Backend

WIDTH, HEADS, SIZE, VOCABULARY = 24, 2, 8, 11
BACKENDS: list[Backend] = ["triton", "torch", "reference"]


@dataclass(frozen=True)
class Example:
    """Arguments of an operation.

    Attributes:
        leaves: what it is differentiable by.
        arguments: everything else.
    """

    leaves: dict[str, Tensor]
    arguments: dict[str, Any]


def starts(tokens: int) -> dict[str, Any]:
    """Two sequences, a longer and a shorter one."""
    longer = tokens - tokens // 3
    return {"cu_seqlens_q": torch.tensor([0, longer, tokens], dtype=torch.int32), "max_length_q": longer}


def heads(tokens: int) -> Tensor:
    return torch.randn(tokens, HEADS, SIZE)


def attention_example(tokens: int) -> Example:
    return Example({name: heads(tokens) for name in "qkv"}, {**starts(tokens), "causal": True})


def statistics_example(tokens: int) -> Example:
    q, k = heads(tokens), heads(tokens)
    _, lse = kernels.attention(q, k, k, **starts(tokens), return_lse=True, backend="reference")
    return Example({}, {"q": q, "k": k, "lse": lse, **starts(tokens)})


def rows_example(tokens: int) -> Example:
    example = statistics_example(tokens)
    return Example({}, {**example.arguments, "rows": torch.tensor([tokens - 1, 0])})


def norm_example(tokens: int) -> Example:
    x, residual, weight = torch.randn(tokens, WIDTH), torch.randn(tokens, WIDTH), torch.randn(WIDTH)
    return Example({"x": x, "residual": residual, "weight": weight}, {"eps": 1e-5})


def embedding_example(tokens: int) -> Example:
    leaves = {"table": torch.randn(VOCABULARY, WIDTH), "weight": torch.randn(WIDTH)}
    return Example(leaves, {"tokens": torch.randint(VOCABULARY, (tokens,)), "eps": 1e-5})


def rotary_example(tokens: int) -> Example:
    angle = torch.randn(tokens, SIZE // 2)
    tables = {"cos": angle.cos(), "sin": angle.sin()}
    return Example({"q": heads(tokens), "k": heads(tokens)}, {"positions": torch.arange(tokens), **tables})


def loss_example(tokens: int) -> Example:
    leaves = {"hidden": torch.randn(tokens, WIDTH), "weight": torch.randn(VOCABULARY, WIDTH)}
    selected = torch.arange(0, tokens, 2)
    targets = torch.randint(VOCABULARY, selected.shape)
    return Example(leaves, {"targets": targets, "selected": selected, "z_loss": 0.1})


EXAMPLES: dict[str, Callable[[int], Example]] = {
    "attention": attention_example,
    "attention_rows": rows_example,
    "attention_statistics": statistics_example,
    "embedding_norm": embedding_example,
    "glu": lambda tokens: Example({"x": torch.randn(tokens, WIDTH)}, {}),
    "layer_norm": norm_example,
    "linear_cross_entropy": loss_example,
    "rms_norm": norm_example,
    "rotary": rotary_example,
    "squared_relu": lambda tokens: Example({"x": torch.randn(tokens, WIDTH)}, {}),
}
DIFFERENTIABLE = [name for name in EXAMPLES if name not in ("attention_rows", "attention_statistics")]


def example_for(name: str, tokens: int, device: torch.device) -> Example:
    torch.manual_seed(tokens)
    example = EXAMPLES[name](tokens)
    return Example(
        {key: x.to(device) for key, x in example.leaves.items()},
        {key: x.to(device) if isinstance(x, Tensor) else x for key, x in example.arguments.items()},
    )


def place(backend: Backend, triton_device: torch.device) -> torch.device:
    return triton_device if backend == "triton" else torch.device("cpu")


def call(name: str, example: Example, backend: Backend | None) -> tuple[Tensor, ...]:
    found = getattr(kernels, name)(**example.leaves, **example.arguments, backend=backend)
    return tuple(x for x in found if x is not None) if isinstance(found, tuple) else (found,)


def test_every_public_operation_is_here() -> None:
    # A step of a decoder is products of dense tensors, on any backend: tests/kernels/attention/test_step.py.
    others = {"AttentionStatistics", "relative_buckets", "attention_step"}
    assert set(kernels.__all__) - others == EXAMPLES.keys()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_that_comes_in_is_written_to(
    name: str, backend: Backend, triton_device: torch.device
) -> None:
    """Neither inputs nor incoming gradients are written to, not even with the values that they have."""
    example = example_for(name, 7, place(backend, triton_device))
    leaves = [x.requires_grad_() for x in example.leaves.values()]
    given = [x for x in (*leaves, *example.arguments.values()) if isinstance(x, Tensor)]
    outputs = call(name, example, backend)
    if name in DIFFERENTIABLE:
        # Expanded from one row, where a write to one element would be one to many.
        grads = [torch.randn_like(out[:1] if out.dim() else out).expand_as(out) for out in outputs]
        given += grads
        versions, copies = [x._version for x in given], [x.detach().clone() for x in given]
        torch.autograd.grad(outputs, leaves, grads)
    else:
        versions, copies = [0] * len(given), [x.detach().clone() for x in given]
        assert not any(out.requires_grad for out in outputs)
        call(name, example, backend)
    assert [x._version for x in given] == versions
    assert all(torch.equal(x, copy) for x, copy in zip(given, copies, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_go_where_they_are_wanted(name: str, backend: Backend, triton_device: torch.device) -> None:
    """A leaf gets the same gradient alone as with all others, and without a leaf no graph is built."""
    example = example_for(name, 7, place(backend, triton_device))
    assert not any(out.requires_grad for out in call(name, example, backend))
    whole = {key: x.detach().requires_grad_() for key, x in example.leaves.items()}
    outputs = call(name, Example(whole, example.arguments), backend)
    grads = [torch.cos(out.detach()) for out in outputs]
    expected = dict(zip(whole, torch.autograd.grad(outputs, list(whole.values()), grads), strict=True))
    for wanted, leaf in example.leaves.items():
        alone = leaf.detach().requires_grad_()
        outputs = call(name, Example(example.leaves | {wanted: alone}, example.arguments), backend)
        pairs = [(out, grad) for out, grad in zip(outputs, grads, strict=True) if out.requires_grad]
        (grad,) = torch.autograd.grad([out for out, _ in pairs], alone, [grad for _, grad in pairs])
        assert torch.equal(grad, expected[wanted]), wanted


@pytest.mark.parametrize("name", EXAMPLES)
def test_backends_are_named_where_one_will_not_do(name: str, triton_device: torch.device) -> None:
    example = example_for(name, 7, triton_device)
    wide = {key: x.double() if x.is_floating_point() else x for key, x in example.leaves.items()}
    arguments = {
        key: x.double() if isinstance(x, Tensor) and x.is_floating_point() else x
        for key, x in example.arguments.items()
    }
    with pytest.raises(NotImplementedError, match=r"'triton': no float64; use 'torch' or 'reference'"):
        call(name, Example(wide, arguments), "triton")
    unknown: Any = "cuda"
    with pytest.raises(
        ValueError, match=r"backend: expected 'triton', 'torch', 'reference' or None, got 'cuda'"
    ):
        call(name, example, unknown)


@pytest.mark.parametrize("name", EXAMPLES)
def test_left_out_a_cpu_has_torch(name: str) -> None:
    example = example_for(name, 7, torch.device("cpu"))
    for ours, theirs in zip(call(name, example, None), call(name, example, "torch"), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_one_graph_holds_them_all(backend: Backend, triton_device: torch.device) -> None:
    """A step of an encoder: compiled once, without a break, for batches of any size."""
    device = place(backend, triton_device)
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    torch.manual_seed(0)
    scale = torch.randn(WIDTH, device=device, requires_grad=True)
    table = torch.randn(VOCABULARY, WIDTH, device=device, requires_grad=True)
    inward = torch.randn(WIDTH, 3 * HEADS * SIZE, device=device, requires_grad=True)
    outward = torch.randn(HEADS * SIZE, 2 * WIDTH, device=device, requires_grad=True)
    angle = torch.randn(40, SIZE // 2, device=device)
    chosen: dict[str, Any] = {"backend": backend}

    def step(tokens: Tensor, positions: Tensor, at: Tensor, longest: int, targets: Tensor) -> Tensor:
        x = kernels.embedding_norm(tokens, table, scale, eps=1e-5, **chosen)
        q, k, v = (x @ inward).unflatten(1, (3, HEADS, SIZE)).unbind(1)
        q, k = kernels.rotary(q, k, positions, angle.cos(), angle.sin(), **chosen)
        lengths: dict[str, Any] = {"cu_seqlens_q": at, "max_length_q": longest}
        mixed, lse = kernels.attention(q, k, v, **lengths, return_lse=True, **chosen)
        seen = kernels.attention_statistics(q, k, lse, **lengths, **chosen)
        gated = kernels.glu(mixed.flatten(1) @ outward, **chosen)
        out, x = kernels.rms_norm(gated, scale, eps=1e-5, residual=x, **chosen)
        out = kernels.layer_norm(kernels.squared_relu(out, **chosen) + x, scale, eps=1e-5, **chosen)
        loss = kernels.linear_cross_entropy(out, table, targets, selected=positions[:3], **chosen)
        return loss + seen.entropy.mean()

    compiled = torch.compile(step, backend=counter, fullgraph=True, dynamic=True)
    leaves = (scale, table, inward, outward)
    graphs = []
    for n in (6, 9, 13):
        packed = {name: x.to(device) if isinstance(x, Tensor) else x for name, x in starts(n).items()}
        tokens = torch.randint(VOCABULARY, (n,), device=device)
        order = torch.randperm(n, device=device)
        arguments: tuple[Any, ...] = (
            tokens,
            order,
            packed["cu_seqlens_q"],
            packed["max_length_q"],
            tokens[:3],
        )
        found, expected = compiled(*arguments), step(*arguments)
        torch.testing.assert_close(found, expected)
        # Of few rows the loss is another composition in eager mode, whose sums round otherwise.
        grads = torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves)
        torch.testing.assert_close(*grads, rtol=1e-5, atol=5e-5)
        # A graph whose tracing was taken up again is left behind empty.
        graphs.append(sum(len(graph.graph.nodes) > 0 for graph in counter.graphs))
    # The second batch may show what the first was too special for; from then on nothing is compiled again.
    assert graphs in ([1, 1, 1], [1, 2, 2])


# torch's own forward mode scripts its decompositions.
@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("tokens", [6, 130])
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_transforms_of_torch_func_work_or_are_refused(name: str, tokens: int) -> None:
    """At few rows as at many: left out, the backend is one that has them."""
    if name == "glu":
        tokens *= 100  # where a backward pass of our own would begin
    example = example_for(name, tokens, torch.device("cpu"))
    leaves = {key: x.double() for key, x in example.leaves.items()}
    arguments = {
        key: x.double() if isinstance(x, Tensor) and x.is_floating_point() else x
        for key, x in example.arguments.items()
    }

    def loss(leaves: dict[str, Tensor], backend: Backend | None = None) -> Tensor:
        found = getattr(kernels, name)(**leaves, **arguments, backend=backend)
        found = found if isinstance(found, tuple) else (found,)
        return sum((x.square().sum() for x in found), torch.zeros(()))

    asking = {key: x.clone().requires_grad_() for key, x in leaves.items()}
    expected = dict(
        zip(asking, torch.autograd.grad(loss(asking, "reference"), list(asking.values())), strict=True)
    )
    found = torch.func.grad(loss)(leaves)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    slope = torch.func.jvp(loss, (leaves,), (leaves,))[1]
    along = sum((expected[key] * x).sum() for key, x in leaves.items())
    torch.testing.assert_close(slope, along, rtol=1e-9, atol=1e-9)
    two = {key: torch.stack([x, 2 * x]) for key, x in leaves.items()}
    each = torch.stack([loss(leaves), loss({key: 2 * x for key, x in leaves.items()})])
    torch.testing.assert_close(torch.func.vmap(loss)(two), each, rtol=1e-9, atol=1e-9)
    if name in ("layer_norm", "embedding_norm"):  # PyTorch's own operators, which have them
        torch.testing.assert_close(torch.func.grad(loss)(leaves, "torch"), expected, rtol=1e-9, atol=1e-9)
        return
    for call in (
        lambda: torch.func.grad(loss)(leaves, "torch"),
        lambda: torch.func.jvp(lambda x: loss(x, "torch"), (leaves,), (leaves,)),
        lambda: torch.func.vmap(lambda x: loss(x, "torch"))(two),
    ):
        with pytest.raises(NotImplementedError, match="use backend='reference'"):
            call()
