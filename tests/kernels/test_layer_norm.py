"""LayerNorm and RMSNorm against fp64, under the rule of `xformer.kernels.testing`.

Covers all of xformer.kernels.norm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from xformer.kernels import embedding_norm, layer_norm, rms_norm
from xformer.kernels.backend import Backend
from xformer.kernels.testing import compare, solve

Norm = Callable[..., Any]
NORMS: dict[str, Norm] = {"layer": layer_norm, "rms": rms_norm}
HALF = pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["fp32", "fp16"])
EACH = pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)


def problem(
    norm: Norm,
    tokens: int,
    width: int,
    dtype: torch.dtype,
    *,
    bias: bool = True,
    residual: torch.dtype | None = None,
    layout: str = "contiguous",
    expanded: bool = False,
    device: torch.device | str = "cpu",
) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
    """Leaves, and a gradient for each output."""

    def matrix(dtype: torch.dtype) -> Tensor:
        if layout == "transposed":
            return torch.randn(width, tokens).to(dtype).to(device).T
        if layout == "slice":
            return torch.randn(tokens, 2 * width + 1).to(dtype).to(device)[:, width + 1 :]
        return torch.randn(tokens, width).to(dtype).to(device)

    leaves = {"x": matrix(dtype), "weight": torch.randn(width).to(dtype).to(device)}
    if bias and norm is layer_norm:
        leaves["bias"] = torch.randn(width).to(dtype).to(device)
    out = dtype
    if residual is not None:
        leaves["residual"] = matrix(residual)
        out = torch.promote_types(dtype, residual)
    shape = (1, width) if expanded else (tokens, width)
    grads = [
        torch.randn(shape).to(out).to(device).expand(tokens, width) for _ in range(1 + (residual is not None))
    ]
    return leaves, tuple(grads)


def assert_passes(
    norm: Norm, leaves: dict[str, Tensor], grads: tuple[Tensor, ...], backend: Backend, eps: float = 1e-5
) -> None:
    for name, error in compare(norm, leaves, {"eps": eps}, grads, backend).items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@EACH
@HALF
@pytest.mark.parametrize("with_sum", [False, True], ids=["", "residual"])
def test_several_tiles_a_program(
    norm: Norm, dtype: torch.dtype, with_sum: bool, triton_device: torch.device
) -> None:
    leaves, grads = problem(norm, 37, 48, dtype, residual=dtype if with_sum else None, device=triton_device)
    assert_passes(norm, leaves, grads, "triton")


# In columns that only fill a block up, gradients mean nothing and may overflow; none is stored.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_problem(data: st.DataObject, triton_device: torch.device) -> None:
    norm = NORMS[data.draw(st.sampled_from(list(NORMS)))]
    # The gradient of RMSNorm in width 1 is rounding and nothing else.
    least = 2 if norm is rms_norm else 1
    width = data.draw(st.one_of(st.integers(least, 1100), st.sampled_from([least, 16, 64, 256, 1024])))
    dtypes = st.sampled_from([torch.float32, torch.float16])
    torch.manual_seed(data.draw(st.integers(0, 2**32 - 1)))
    leaves, grads = problem(
        norm,
        data.draw(st.integers(0, 9)),
        width,
        data.draw(dtypes),
        bias=data.draw(st.booleans()),
        residual=data.draw(st.one_of(st.none(), dtypes)),
        layout=data.draw(st.sampled_from(["contiguous", "transposed", "slice"])),
        expanded=data.draw(st.booleans()),
        device=triton_device,
    )
    assert_passes(norm, leaves, grads, "triton", data.draw(st.sampled_from([1e-12, 1e-5, 0.1])))


@EACH
@pytest.mark.parametrize("with_sum", [False, True], ids=["", "residual"])
def test_torch_means_the_same(norm: Norm, with_sum: bool) -> None:
    leaves, grads = problem(norm, 7, 33, torch.float64, residual=torch.float64 if with_sum else None)
    found, expected = (solve(norm, leaves, {"eps": 1e-3}, grads, b) for b in ("torch", "reference"))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16], ids=["fp32", "fp16", "bf16"]
)
def test_torch_rms_norm_keeps_the_rule(dtype: torch.dtype) -> None:
    leaves, grads = problem(rms_norm, 50, 40, dtype, layout="transposed", expanded=True)
    assert_passes(rms_norm, leaves, grads, "torch")


def test_the_reference_is_the_known_definition() -> None:
    x, weight, bias = torch.randn(5, 8).double(), torch.randn(8).double(), torch.randn(8).double()
    ours = layer_norm(x, weight, bias, eps=0.1, backend="reference")
    torch.testing.assert_close(ours, torch.nn.functional.layer_norm(x, (8,), weight, bias, 0.1))
    ours = rms_norm(x, weight, eps=0.1, backend="reference")
    torch.testing.assert_close(ours, torch.nn.functional.rms_norm(x, (8,), weight, 0.1))
    assert torch.autograd.gradgradcheck(
        lambda x, w: layer_norm(x, w, eps=0.1, backend="reference"),
        (x[:2].requires_grad_(), weight.requires_grad_()),
    )


@pytest.mark.parametrize("backend", ["triton", "torch", "reference"])
@EACH
def test_a_sum_is_rounded_before_it_is_normalised(
    norm: Norm, backend: Backend, triton_device: torch.device
) -> None:
    """The sum that is returned is normalised, rounded, as the backward pass will do it again."""
    device = triton_device if backend == "triton" else torch.device("cpu")
    leaves, _ = problem(norm, 9, 40, torch.float16, residual=torch.float16, device=device)
    out, total = norm(**leaves, eps=1e-5, backend=backend)
    assert not torch.equal(total.float(), leaves["x"].float() + leaves["residual"].float())
    assert torch.equal(out, norm(total, *_rest(leaves), eps=1e-5, backend=backend))


@EACH
def test_weights_may_be_wider_than_tokens(norm: Norm, triton_device: torch.device) -> None:
    leaves, grads = problem(norm, 6, 20, torch.float16, device=triton_device)
    leaves = {name: leaf if name == "x" else leaf.float() for name, leaf in leaves.items()}
    found = solve(norm, leaves, {"eps": 1e-5}, grads, "triton")
    assert found["out0"].dtype == found["grad_x"].dtype == torch.float16
    assert found["grad_weight"].dtype == torch.float32
    exact = solve(
        norm,
        {name: leaf.double() for name, leaf in leaves.items()},
        {"eps": 1e-5},
        tuple(g.double() for g in grads),
        "reference",
    )
    for name in exact:
        torch.testing.assert_close(found[name].double(), exact[name], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("backend", ["triton", "torch"])
@EACH
def test_either_output_may_go_unused(norm: Norm, backend: Backend, triton_device: torch.device) -> None:
    device = triton_device if backend == "triton" else torch.device("cpu")
    leaves, (grad, _) = problem(norm, 5, 16, torch.float32, residual=torch.float32, device=device)
    fresh = {name: leaf.requires_grad_() for name, leaf in leaves.items()}
    out, total = norm(**fresh, eps=1e-5, backend=backend)
    by_sum = torch.autograd.grad(total, (fresh["x"], fresh["residual"]), grad, retain_graph=True)
    assert all(torch.equal(found, grad) for found in by_sum)
    expected = norm(fresh["x"] + fresh["residual"], *_rest(fresh), eps=1e-5, backend="reference")
    (by_out,) = torch.autograd.grad(out, fresh["residual"], grad)
    torch.testing.assert_close(by_out, torch.autograd.grad(expected, fresh["residual"], grad)[0])


def _rest(leaves: dict[str, Tensor]) -> list[Tensor]:
    return [leaves[name] for name in ("weight", "bias") if name in leaves]


@pytest.mark.parametrize("backend", ["triton", "torch"])
@EACH
def test_nothing_is_changed_and_runs_repeat(
    norm: Norm, backend: Backend, triton_device: torch.device
) -> None:
    device = triton_device if backend == "triton" else torch.device("cpu")
    leaves, grads = problem(norm, 21, 24, torch.float32, residual=torch.float32, device=device)
    before = [x.clone() for x in (*leaves.values(), *grads)]
    first, second = (solve(norm, leaves, {"eps": 1e-5}, grads, backend) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(before, (*leaves.values(), *grads), strict=True))
    assert all(torch.equal(first[name], second[name]) for name in first)


@EACH
@pytest.mark.parametrize("shape", [(9, 20), (0, 20)], ids=str)
def test_every_element_is_written(
    norm: Norm, shape: tuple[int, int], triton_device: torch.device, poisoned_memory: list[int]
) -> None:
    leaves, grads = problem(norm, *shape, torch.float32, residual=torch.float32, device=triton_device)
    solution = solve(norm, leaves, {"eps": 1e-5}, grads, "triton")
    assert poisoned_memory[0] >= 5
    assert not any(x.isnan().any() for x in solution.values())


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_row_does_not_feel_its_neighbours(triton_device: torch.device) -> None:
    leaves, grads = problem(layer_norm, 12, 20, torch.float32, device=triton_device)
    alone = solve(layer_norm, leaves, {"eps": 1e-5}, grads, "triton")
    leaves["x"][6:] = float("nan")
    beside = solve(layer_norm, leaves, {"eps": 1e-5}, grads, "triton")
    assert torch.equal(alone["out0"][:6], beside["out0"][:6])
    assert torch.equal(alone["grad_x"][:6], beside["grad_x"][:6])


def test_a_great_mean_does_not_cancel(triton_device: torch.device) -> None:
    leaves, grads = problem(layer_norm, 6, 200, torch.float32, device=triton_device)
    leaves["x"] += 1000
    assert_passes(layer_norm, leaves, grads, "triton")


def operations(device: torch.device) -> dict[str, tuple[Any, tuple[Any, ...]]]:
    from xformer.kernels.norm import triton as norm_triton
    from xformer.kernels.norm.rms_norm import _torch

    leaves, _ = problem(layer_norm, 5, 12, torch.float32, residual=torch.float32, device=device)
    x, weight, bias, residual = (leaf.requires_grad_() for leaf in leaves.values())
    return {
        "norm": (norm_triton.norm, (x, None, weight, bias, 1e-5, True)),
        "norm without bias": (norm_triton.norm, (x, None, weight, None, 1e-5, False)),
        "add_norm": (norm_triton.add_norm, (x, residual, weight, bias, 1e-5, True)),
        "rms_norm_torch": (_torch, (x.cpu(), weight.cpu(), 1e-5)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["norm", "norm without bias", "add_norm", "rms_norm_torch"])
def test_opcheck(name: str, triton_device: torch.device) -> None:
    operation, arguments = operations(triton_device)[name]
    torch.library.opcheck(operation.op, arguments)


@pytest.mark.parametrize("name", ["norm", "add_norm", "rms_norm_torch"])
def test_called_directly_it_is_the_same_as_the_operator(name: str, triton_device: torch.device) -> None:
    operation, arguments = operations(triton_device)[name]
    leaves = [x for x in arguments if isinstance(x, Tensor)]

    def outputs_and_gradients(function: Any) -> list[Tensor]:
        outputs = function(*arguments)
        outputs = (outputs if isinstance(outputs, tuple) else (outputs,))[: 1 + (name == "add_norm")]
        return [*outputs, *torch.autograd.grad(outputs, leaves, [torch.cos(x.detach()) for x in outputs])]

    direct, through_op = outputs_and_gradients(operation), outputs_and_gradients(operation.op)
    assert all(torch.equal(a, b) for a, b in zip(direct, through_op, strict=True))
    with torch.no_grad():
        again = operation(*arguments)
    assert torch.equal(again[0] if isinstance(again, tuple) else again, direct[0])


@pytest.mark.parametrize("name", ["norm", "rms_norm_torch"])
def test_a_second_derivative_is_refused(name: str, triton_device: torch.device) -> None:
    operation, arguments = operations(triton_device)[name]
    x = arguments[0]
    (grad,) = torch.autograd.grad(operation(*arguments).square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivative; backend 'reference' has"):
        grad.sum().backward()


def test_fake_tensors_go_through_the_operator(triton_device: torch.device) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        x = torch.empty(5, 12, device=triton_device)
        out, total = layer_norm(
            x, torch.empty(12, device=triton_device), eps=1e-5, residual=x, backend="triton"
        )
    assert out.shape == total.shape == (5, 12)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "triton"])
@EACH
def test_compiles_whole_and_with_any_length(
    norm: Norm, backend: Backend, triton_device: torch.device
) -> None:
    device = triton_device if backend == "triton" else torch.device("cpu")
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")

    def loss(x: Tensor, residual: Tensor, weight: Tensor) -> Tensor:
        out, total = norm(x, weight, eps=1e-5, residual=residual, backend=backend)
        return norm(out, weight, eps=1e-5, backend=backend).square().sum() + total.sum()

    compiled = torch.compile(loss, backend=counter, fullgraph=True, dynamic=True)
    weight = torch.randn(12, device=device, requires_grad=True)
    for tokens in (5, 8, 3):
        x, residual = (torch.randn(tokens, 12, device=device, requires_grad=True) for _ in range(2))
        found, expected = compiled(x, residual, weight), loss(x, residual, weight)
        torch.testing.assert_close(found, expected)
        leaves = (x, residual, weight)
        torch.testing.assert_close(torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves))
    assert counter.frame_count == 1


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "integers": (r"x: expected.*got torch\.int64 \(3, 4\)", {"x": torch.ones(3, 4, dtype=torch.int64)}),
    "three dimensions": (r"x: expected \(tokens, width\)", {"x": torch.ones(3, 4, 1)}),
    "no width": (r"x: expected \(tokens, width\)", {"x": torch.ones(3, 0), "weight": torch.ones(0)}),
    "another weight": (r"weight: expected shape \(4,\), got \(3,\)", {"weight": torch.ones(3)}),
    "another bias": (r"bias: expected weight's torch\.float32 \(4,\)", {"bias": torch.ones(4).double()}),
    "another residual": (r"residual: expected x's shape \(3, 4\)", {"residual": torch.ones(1, 4)}),
    "unknown backend": (r"backend: expected 'triton'.*'cuda'", {"backend": "cuda"}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    message, change = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        layer_norm(**{"x": torch.ones(3, 4), "weight": torch.ones(4), "eps": 1e-5, **change})


def test_triton_says_what_it_cannot_do_and_who_can(triton_device: torch.device) -> None:
    for x, lack in (
        (torch.ones(2, 4).double(), "no float64"),
        (torch.ones(2, 9000), "no width over 8192, got 9000"),
    ):
        x = x.to(triton_device)
        with pytest.raises(NotImplementedError, match=f"'triton': {lack}; use 'torch' or 'reference'"):
            rms_norm(x, x[0], eps=1e-5, backend="triton")
        assert rms_norm(x, x[0], eps=1e-5).dtype == x.dtype  # left out, the choice falls elsewhere


def test_a_cpu_uses_torch_unless_told() -> None:
    x, weight = torch.randn(3, 4), torch.randn(4)
    assert torch.equal(layer_norm(x, weight, eps=1e-5), layer_norm(x, weight, eps=1e-5, backend="torch"))


FLOATING = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("backend", ["torch", "reference"])
@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("weights", FLOATING)
def test_weights_may_have_any_floating_dtype(
    backend: Backend, dtype: torch.dtype, weights: torch.dtype
) -> None:
    """Beside tokens of any, and a residual of any."""
    x, weight = torch.randn(4, 8, dtype=dtype), torch.rand(8, dtype=weights).requires_grad_()
    for residual in (None, *(torch.randn(4, 8, dtype=other) for other in FLOATING)):
        wanted = dtype if residual is None else torch.promote_types(dtype, residual.dtype)
        for norm in (layer_norm, rms_norm):
            given: Any = {} if residual is None else {"residual": residual}
            out: Any = norm(x, weight, eps=1e-5, backend=backend, **given)
            out = out if residual is None else out[0]
            assert out.dtype == wanted
            assert torch.autograd.grad(out.double().sum(), weight)[0].dtype == weights
        if residual is None:
            out = embedding_norm(torch.arange(4), x, weight, eps=1e-5, backend=backend)
            assert out.dtype == dtype
