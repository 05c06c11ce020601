"""`attention` within PyTorch: what it refuses, `opcheck`, `torch.compile`.

Covers `op`, `checks` and `options`.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch
from torch import Tensor

from tests.kernels.attention_accuracy import Problem, draw, solve
from xformer.kernels import attention
from xformer.kernels.attention.op import _Options
from xformer.kernels.attention.options import AttentionOptions
from xformer.kernels.backend import Backend


def test_options_have_the_same_names_and_types_wherever_they_are_listed() -> None:
    """The keywords, the dictionary that types them in the overloads, and the dataclass that backends take."""
    keywords = get_type_hints(attention)
    positional = {"q", "k", "v", "cu_seqlens_q", "cu_seqlens_k"}
    others = {"max_length_q", "max_length_k", "allow_tf32", "backend"}  # not about the weights
    listed = get_type_hints(_Options)
    assert listed == {x: keywords[x] for x in keywords.keys() - positional - {"return_lse", "return"}}
    assert {field.name for field in fields(AttentionOptions)} == listed.keys() - others
    for name in listed.keys() - others - {"scale"}:  # `attention` works out the scale if it is left out
        assert getattr(AttentionOptions, name) == signature(attention).parameters[name].default


def good() -> dict[str, Any]:
    inputs = draw(Problem((3, 2), n_heads=4, n_kv_heads=2, head_size=8))
    return {**inputs.leaves, **inputs.arguments}


def on(device: torch.device, arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: x.to(device) if isinstance(x, Tensor) else x for name, x in arguments.items()}


REFUSED: dict[str, tuple[type[Exception], str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "integers": (TypeError, r"q: expected float64.*got torch\.int64", lambda a: {"q": a["q"].long()}),
    "two dtypes": (TypeError, r"k: expected q's dtype torch\.float32", lambda a: {"k": a["k"].double()}),
    "no heads dimension": (
        ValueError,
        r"q: expected \(tokens, heads, head size\)",
        lambda a: {"q": a["q"][0]},
    ),
    "unlike k and v": (ValueError, r"k, v: expected equal shapes", lambda a: {"v": a["v"][:, :1]}),
    "unlike head sizes": (ValueError, r"q, k: expected equal head sizes", lambda a: {"q": a["q"][..., :4]}),
    "ungroupable heads": (ValueError, r"k: .*divides q's 3, got 2", lambda a: {"q": a["q"][:, :3]}),
    "float starts": (TypeError, r"cu_seqlens_q: expected int32", lambda a: {"cu_seqlens_q": torch.ones(3)}),
    "wrong end": (
        ValueError,
        r"cu_seqlens_k: expected to rise from 0 to the 5 tokens there are, got \[0, 3, 4\]",
        lambda a: {"cu_seqlens_k": torch.tensor([0, 3, 4])},
    ),
    "falling starts": (
        ValueError,
        r"cu_seqlens_q: expected to rise",
        lambda a: {"cu_seqlens_q": torch.tensor([0, 6, 5])},
    ),
    "other number of sequences": (
        ValueError,
        r"same number of sequences, got 2 and 1",
        lambda a: {"cu_seqlens_k": torch.tensor([0, 5]), "max_length_k": None},
    ),
    "max_length too small": (ValueError, r"max_length_q: expected at least 3", lambda a: {"max_length_q": 2}),
    "negative window": (ValueError, r"window: .*got -1", lambda a: {"window": -1}),
    "slopes of another shape": (
        ValueError,
        r"alibi_slopes: .*\(4,\)",
        lambda a: {"alibi_slopes": torch.ones(2)},
    ),
    "table of another shape": (ValueError, r"bias_table: .*4\)", lambda a: {"bias_table": torch.ones(8, 2)}),
    "odd buckets": (ValueError, r"bias_table: .*an even number", lambda a: {"bias_table": torch.ones(7, 4)}),
    "short distance": (
        ValueError,
        r"bias_max_distance: expected more than 8",
        lambda a: {"bias_table": torch.ones(32, 4), "bias_max_distance": 8},
    ),
    "sink of another shape": (ValueError, r"sink: .*\(4,\).*got \(2,\)", lambda a: {"sink": torch.ones(2)}),
    "integer sink": (TypeError, r"sink: expected floating", lambda a: {"sink": torch.ones(4).long()}),
    "no cap": (ValueError, r"softcap: expected a positive, finite bound, got 0", lambda a: {"softcap": 0.0}),
    "a cap that caps nothing": (ValueError, r"softcap: .*got inf", lambda a: {"softcap": float("inf")}),
    "no number to scale by": (ValueError, r"scale: .*got nan", lambda a: {"scale": float("nan")}),
    "a word": (TypeError, r"scale: expected a number, got 'x'", lambda a: {"scale": "x"}),
    "half a token": (TypeError, r"window: expected an integer, got 8\.5", lambda a: {"window": 8.5}),
    "half a distance": (
        TypeError,
        r"bias_max_distance: expected an int",
        lambda a: {"bias_max_distance": 9.5},
    ),
    "half a length": (TypeError, r"max_length_q: expected an integer", lambda a: {"max_length_q": 9.5}),
    "half a seed": (TypeError, r"seed: expected an integer", lambda a: {"dropout": 0.1, "seed": 1.5}),
    "too great a seed": (ValueError, r"seed: expected an int64", lambda a: {"dropout": 0.1, "seed": 2**63}),
    "a number for a sink": (TypeError, r"sink: expected a tensor, got float", lambda a: {"sink": 1.0}),
    "a list of slopes": (TypeError, r"alibi_slopes: .*got list", lambda a: {"alibi_slopes": [1, 2, 3, 4]}),
    "a list of starts": (TypeError, r"cu_seqlens_q: .*got list", lambda a: {"cu_seqlens_q": [0, 3, 5]}),
    "no queries": (TypeError, r"q: expected a tensor, got NoneType", lambda a: {"q": None}),
    "certain dropout": (ValueError, r"dropout: .*got 1", lambda a: {"dropout": 1.0, "seed": 0}),
    "dropout without seed": (ValueError, r"seed: expected an integer", lambda a: {"dropout": 0.1}),
    "unknown backend": (ValueError, r"backend: expected 'triton'.*'cuda'", lambda a: {"backend": "cuda"}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    error, message, change = REFUSED[case]
    arguments = good()
    with pytest.raises(error, match=message):
        attention(**{**arguments, **change(arguments)})


def test_a_backend_says_what_it_cannot_do_and_who_can(triton_device: torch.device) -> None:
    arguments = on(triton_device, good())
    for name in ("q", "k", "v"):
        arguments[name] = torch.cat([arguments[name]] * 33, dim=2)
    with pytest.raises(NotImplementedError, match="'triton': no head size over 256, got 264; use 'torch' or"):
        attention(**arguments, backend="triton")
    backends: list[Backend] = ["torch", "triton"]
    for backend in backends:
        device = triton_device if backend == "triton" else torch.device("cpu")
        slopes = torch.ones(4, device=device, requires_grad=True)
        message = f"'{backend}': no gradient for alibi_slopes; use 'reference'"
        with pytest.raises(NotImplementedError, match=message):
            attention(**on(device, good()), alibi_slopes=slopes, backend=backend)
    slopes = torch.ones(4, requires_grad=True)
    with pytest.raises(NotImplementedError, match="no gradient for alibi_slopes; use 'reference'"):
        attention(**good(), alibi_slopes=slopes)
    with torch.no_grad():
        attention(**good(), alibi_slopes=slopes)
    attention(**good(), alibi_slopes=slopes, backend="reference").sum().backward()
    assert slopes.grad is not None


def test_triton_does_not_take_fp64(triton_device: torch.device) -> None:
    inputs = draw(Problem((3,)), triton_device).to(torch.float64)
    with pytest.raises(NotImplementedError, match="no float64"):
        solve(inputs, "triton")


def test_lengths_may_be_left_out(triton_device: torch.device) -> None:
    arguments = on(triton_device, good())
    expected = attention(**arguments, backend="triton")
    for name in ("max_length_q", "max_length_k", "cu_seqlens_k"):
        del arguments[name]
    assert torch.equal(attention(**arguments, backend="triton"), expected)


@pytest.mark.slow
def test_opcheck_of_torch() -> None:
    from xformer.kernels.attention.torch.backend import attention_torch

    inputs = draw(Problem((4, 3, 3), bias_buckets=8, sink=True))
    q, k, v, table, sink = (leaf.requires_grad_() for leaf in inputs.leaves.values())
    starts = inputs.arguments["cu_seqlens_q"]
    options = AttentionOptions(0.3, True, 6, torch.ones(2), table, 16, 2.0, 0.1, 5, sink)
    torch.library.opcheck(attention_torch.op, (q, k, v, starts, starts, *options.flat()))


@pytest.mark.slow
def test_opcheck_of_triton(triton_device: torch.device) -> None:
    from xformer.kernels.attention.triton.backend import attention_triton

    inputs = draw(Problem((4, 3), bias_buckets=8, sink=True), triton_device)
    q, k, v, table, sink = (leaf.requires_grad_() for leaf in inputs.leaves.values())
    starts = inputs.arguments["cu_seqlens_q"]
    slopes = torch.ones(2, device=triton_device)
    options = AttentionOptions(0.3, True, 6, slopes, table, 16, 2.0, 0.1, 5, sink)
    arguments = (q, k, v, starts, starts, *options.flat(), 4, 4, False, [16, 16])
    torch.library.opcheck(attention_triton.op, arguments)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_compiles_whole_and_with_any_length(backend: Backend, triton_device: torch.device) -> None:
    """One graph, which serves batches of other sizes."""
    device = triton_device if backend == "triton" else torch.device("cpu")
    testing = importlib.import_module("torch._dynamo.testing")
    torch._dynamo.reset()
    counter = testing.CompileCounterWithBackend("aot_eager")

    def loss(
        q: Tensor, k: Tensor, v: Tensor, table: Tensor, sink: Tensor, starts: Tensor, longest: int, seed: int
    ) -> Tensor:
        out, lse = attention(
            q, k, v, starts, max_length_q=longest, causal=True, window=4, bias_table=table, sink=sink,
            softcap=3.0, dropout=0.1, seed=seed, backend=backend, return_lse=True,
        )  # fmt: skip
        return out.square().sum() + lse.sum()

    compiled = torch.compile(loss, backend=counter, fullgraph=True, dynamic=True)
    for seed, lengths in enumerate(((5, 3), (7, 4, 2), (6,)), 2):
        inputs = draw(Problem(lengths, bias_buckets=8, sink=True), device)
        leaves = [leaf.requires_grad_() for leaf in inputs.leaves.values()]
        longest = inputs.arguments["max_length_q"]
        arguments: tuple[Any, ...] = (*leaves, inputs.arguments["cu_seqlens_q"], longest, seed)
        found, expected = compiled(*arguments), loss(*arguments)
        assert torch.allclose(found, expected)
        for ours, theirs in zip(
            torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves), strict=True
        ):
            assert torch.allclose(ours, theirs)
    assert counter.frame_count <= 2  # batches of one sequence may be a case of their own


@pytest.mark.slow
def test_importing_does_not_import_triton(repository: Path) -> None:
    code = (
        "import sys; sys.modules['triton'] = None; import torch; from xformer.kernels import attention\n"
        "x = torch.ones(2, 1, 4); attention(x, x, x, torch.tensor([0, 2]))\n"
        "try: attention(x, x, x, torch.tensor([0, 2]), backend='triton')\n"
        "except NotImplementedError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "triton" in done.stdout
