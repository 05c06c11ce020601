"""Gated units and the squared ReLU against fp64, under the rule of `xformer.kernels.testing`.

Covers all of xformer.kernels.glu.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from xformer.kernels import glu, operation, squared_relu
from xformer.kernels.backend import Backend
from xformer.kernels.glu.op import Activation
from xformer.kernels.testing import compare, solve

FUSED = pytest.mark.parametrize("backend", ["triton", "torch"])
KINDS: tuple[Activation | None, ...] = (*get_args(Activation), None)
EACH = pytest.mark.parametrize("kind", KINDS, ids=[*get_args(Activation), "squared relu"])
# In the interpreter, the sigmoid of a very negative number meets e^1000 = inf, from which follows 0.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")


@pytest.fixture(scope="module", autouse=True)
def _fused_however_small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operation, "WORTH_A_CALL", 0)
        yield


def function_of(kind: Activation | None) -> tuple[Callable[..., Any], dict[str, Any]]:
    return (squared_relu, {}) if kind is None else (glu, {"activation": kind})


def problem(
    kind: Activation | None,
    tokens: int = 9,
    width: int = 70,
    dtype: torch.dtype = torch.float32,
    *,
    layout: str = "contiguous",
    expanded: bool = False,
    device: torch.device | str = "cpu",
) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
    """Leaves and the gradient of the result."""
    columns = width * (1 if kind is None else 2)
    if layout == "transposed":
        x = torch.randn(columns, tokens).mul(3).to(dtype).to(device).T
    elif layout == "slice":
        x = torch.randn(tokens, columns + 3).mul(3).to(dtype).to(device)[:, 2:-1]
    else:
        x = torch.randn(tokens, columns).mul(3).to(dtype).to(device)
    grad = torch.randn(1 if expanded else tokens, width).to(dtype).to(device)
    return {"x": x}, (grad.expand(tokens, width),)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_problem(data: st.DataObject, triton_device: torch.device) -> None:
    torch.manual_seed(data.draw(st.integers(0, 2**32 - 1)))
    kind = data.draw(st.sampled_from(KINDS))
    backend: Backend = data.draw(st.sampled_from(["triton", "torch"]))
    leaves, grads = problem(
        kind,
        data.draw(st.integers(0, 9)),
        data.draw(st.integers(1, 200)),
        data.draw(st.sampled_from([torch.float32, torch.float16])),
        layout=data.draw(st.sampled_from(["contiguous", "transposed", "slice"])),
        expanded=data.draw(st.booleans()),
        device=triton_device if backend == "triton" else "cpu",
    )
    function, arguments = function_of(kind)
    for name, error in compare(function, leaves, arguments, grads, backend).items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@EACH
def test_torch_in_double_precision(kind: Activation | None) -> None:
    function, arguments = function_of(kind)
    leaves, grads = problem(kind, dtype=torch.float64)
    found, expected = (solve(function, leaves, arguments, grads, b) for b in ("torch", "reference"))
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)


@EACH
def test_what_is_small_or_needs_no_gradient_is_the_definition(
    kind: Activation | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, arguments = function_of(kind)
    leaves, grads = problem(kind, layout="transposed")
    before = leaves["x"].clone()
    with torch.no_grad():
        out = function(**leaves, **arguments, backend="torch")
    assert out.is_contiguous()
    assert torch.equal(leaves["x"], before)
    monkeypatch.setattr(operation, "WORTH_A_CALL", leaves["x"].numel() + 1)
    found, expected = (solve(function, leaves, arguments, grads, b) for b in ("torch", "reference"))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert torch.equal(out, expected["out0"])
    assert found["out0"].is_contiguous()


def test_the_first_half_is_activated() -> None:
    x = torch.tensor([[-1.0, 2.0, 5.0, 7.0]])
    assert glu(x, "relu", backend="reference").tolist() == [[0.0, 14.0]]
    assert squared_relu(x, backend="reference").tolist() == [[0.0, 4.0, 25.0, 49.0]]


@FUSED
@EACH
def test_great_numbers_and_nan(
    kind: Activation | None, backend: Backend, triton_device: torch.device
) -> None:
    function, arguments = function_of(kind)
    row = torch.tensor([[-1e4, -88.0, -0.0, 0.0, 88.0, 1e4, float("nan")]])
    leaves = {"x": (row if kind is None else torch.cat((row, torch.ones_like(row)), 1)).to(triton_device)}
    grads = (torch.ones_like(row).to(triton_device),)
    found, expected = (solve(function, leaves, arguments, grads, b) for b in (backend, "reference"))
    torch.testing.assert_close(found, expected, equal_nan=True, rtol=1e-5, atol=1e-6)


@FUSED
@EACH
def test_nothing_is_changed_and_runs_repeat(
    kind: Activation | None, backend: Backend, triton_device: torch.device
) -> None:
    function, arguments = function_of(kind)
    leaves, grads = problem(kind, device=triton_device if backend == "triton" else "cpu")
    given = (*leaves.values(), *grads)
    before = [x.clone() for x in given]
    first, second = (solve(function, leaves, arguments, grads, backend) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(before, given, strict=True))
    assert all(torch.equal(first[name], second[name]) for name in first)


@FUSED
@pytest.mark.parametrize("kind", ["gelu", None])
def test_every_element_is_written(
    kind: Activation | None, backend: Backend, triton_device: torch.device, poisoned_memory: list[int]
) -> None:
    function, arguments = function_of(kind)
    leaves, grads = problem(kind, device=triton_device if backend == "triton" else "cpu")
    solution = solve(function, leaves, arguments, grads, backend)
    assert poisoned_memory[0] >= 1
    assert not any(x.isnan().any() for x in solution.values())


@pytest.mark.slow
@FUSED
@pytest.mark.parametrize("kind", ["silu", None])
def test_opcheck_and_direct_call(
    kind: Activation | None, backend: Backend, triton_device: torch.device
) -> None:
    from xformer.kernels.glu import triton as glu_triton
    from xformer.kernels.glu.op import _square_torch, _torch

    leaves, (grad,) = problem(kind, device=triton_device if backend == "triton" else "cpu")
    of_torch, of_triton = (_square_torch, glu_triton.square) if kind is None else (_torch, glu_triton.gate)
    ours = of_triton if backend == "triton" else of_torch
    x = leaves["x"].requires_grad_()
    inputs = (x,) if kind is None else (x, kind)
    torch.library.opcheck(ours.op, inputs)
    direct, through_op = ours(*inputs), ours.op(*inputs)
    through_op = through_op[0] if isinstance(through_op, tuple) else through_op
    assert torch.equal(direct, through_op)
    by_direct, by_op = (torch.autograd.grad(out, x, grad)[0] for out in (direct, through_op))
    assert torch.equal(by_direct, by_op)


@pytest.mark.slow
@FUSED
def test_compiles_whole_and_with_any_length(backend: Backend, triton_device: torch.device) -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")

    def loss(x: Tensor) -> Tensor:
        return (glu(x, "gelu", backend=backend) + squared_relu(x, backend=backend)[:, :24]).sum()

    compiled = torch.compile(loss, backend=counter, fullgraph=True, dynamic=True)
    for tokens in (5, 8, 3):
        x = torch.randn(
            tokens, 48, device=triton_device if backend == "triton" else "cpu", requires_grad=True
        )
        found, expected = compiled(x), loss(x)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad(found, x), torch.autograd.grad(expected, x))
    assert counter.frame_count == 1


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"x: expected.*an even width\), got torch\.float32 \(2, 3\)"):
        glu(torch.ones(2, 3))
    with pytest.raises(
        ValueError, match=r"activation: expected one of gelu, gelu_tanh, silu, relu, got 'swish'"
    ):
        glu(torch.ones(2, 4), "swish")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"x: expected floating point \(tokens, width\), got torch\.int64"):
        squared_relu(torch.ones(2, 4, dtype=torch.int64))


def test_triton_does_not_take_fp64(triton_device: torch.device) -> None:
    with pytest.raises(NotImplementedError, match="'triton': no float64; use 'torch' or 'reference'"):
        glu(torch.ones(2, 4, device=triton_device).double(), backend="triton")
