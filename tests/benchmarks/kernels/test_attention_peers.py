"""The peers of attention are asked for what they are to do, those that aren't here included."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend

from xformer.benchmarks.kernels.operation import Contender, Prepared, solve, solve_forward
from xformer.benchmarks.kernels.operations import attention_peers as module
from xformer.benchmarks.kernels.operations.attention import Attention
from xformer.benchmarks.kernels.operations.attention_cases import AttentionCase
from xformer.benchmarks.kernels.operations.attention_truth import by_hand
from xformer.kernels import attention
from xformer.kernels.testing import distances

CPU = torch.device("cpu")
LENGTHS = (7, 4, 4, 1)
RAGGED = AttentionCase("ragged", "", LENGTHS, 2, 8)
KINDS = [
    RAGGED,
    AttentionCase("causal", "", LENGTHS, 2, 8, causal=True),
    AttentionCase("window", "", LENGTHS, 2, 8, window=4),
    AttentionCase("bias", "", LENGTHS, 2, 8, bias=True),
    AttentionCase("dense", "", (5, 5), 2, 8),
    AttentionCase("dense causal", "", (5, 5), 2, 8, causal=True),
    AttentionCase("dense window", "", (5, 5), 2, 8, window=2),
    AttentionCase("dense bias", "", (5, 5), 2, 8, bias=True),
]


def contender(name: str) -> Contender[AttentionCase]:
    return next(each for each in Attention().contenders() if each.name == name)


def prepare(name: str, case: AttentionCase) -> Prepared:
    return contender(name).prepare(case, Attention().draw(case, torch.float64, CPU, 0))


def check(prepared: Prepared, case: AttentionCase) -> None:
    """Results and gradients are the truth."""
    true = by_hand(case, Attention().draw(case, torch.float64, CPU, 0))
    found = solve(prepared)
    assert set(found) == set(true)
    assert max(distances(found, true).values()) < 1e-12


@pytest.mark.parametrize("case", KINDS, ids=lambda case: case.name)
@pytest.mark.parametrize("name", ["sdpa math", "eager", "xformer torch"])
def test_who_can_run_here_is_right(name: str, case: AttentionCase) -> None:
    check(prepare(name, case), case)


@pytest.mark.parametrize("case", [*KINDS[:3], *KINDS[4:7]], ids=lambda case: case.name)
def test_flash_of_the_cpu_is_right(case: AttentionCase) -> None:
    check(prepare("sdpa flash", case), case)


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("sdpa flash", SDPBackend.FLASH_ATTENTION),
        ("sdpa cudnn", SDPBackend.CUDNN_ATTENTION),
        ("sdpa efficient", SDPBackend.EFFICIENT_ATTENTION),
        ("sdpa math", SDPBackend.MATH),
    ],
)
def test_each_way_of_sdpa_is_asked_for_alone(
    name: str, backend: SDPBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every call happens inside of the choice of exactly that backend."""
    inside: list[Any] = []
    asked: list[Any] = []

    @contextmanager
    def kernel(chosen: Any) -> Iterator[None]:
        inside.append(chosen)
        yield
        inside.pop()

    def sdpa(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None, is_causal: bool) -> Tensor:
        asked.append((list(inside), None if attn_mask is None else tuple(attn_mask.shape), is_causal))
        return q

    monkeypatch.setattr(module, "sdpa_kernel", kernel)
    monkeypatch.setattr(module.functional, "scaled_dot_product_attention", sdpa)
    wanted = {"ragged": ((4, 1, 1, 7), False), "causal": ((4, 1, 7, 7), False), "dense": (None, False)}
    wanted |= {"dense causal": (None, True), "dense window": ((1, 1, 5, 5), False)}
    wanted |= {
        "dense bias": ((1, 2, 5, 5), False),
        "bias": ((4, 2, 7, 7), False),
        "window": ((4, 1, 7, 7), False),
    }
    for case in KINDS:
        asked.clear()
        solve_forward(prepare(name, case))
        assert asked == [([backend], *wanted[case.name])] * 3, case.name


def test_padded_copies_are_made_once() -> None:
    inputs = Attention().draw(RAGGED, torch.float64, CPU, 0)
    first, second = (contender(name).prepare(RAGGED, inputs) for name in ("sdpa math", "eager"))
    assert all(first.leaves[name] is second.leaves[name] for name in "qkv")
    assert first.grads[0] is second.grads[0]


def test_a_backend_that_is_not_there_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch warns of each reason, of the other backends too, and raises without any."""

    def sdpa(*_: object, **__: object) -> Tensor:
        warnings.warn(
            "Flash attention kernel not used because: (Triggered internally at x.cpp:1)", stacklevel=1
        )
        warnings.warn(
            "Flash Attention does not support non-null attn_mask. (Triggered internally at …)", stacklevel=1
        )
        warnings.warn("cuDNN attention has been runtime disabled. (Triggered internally at …)", stacklevel=1)
        raise RuntimeError("No available kernel. Aborting execution.")

    monkeypatch.setattr(module.functional, "scaled_dot_product_attention", sdpa)
    with pytest.raises(NotImplementedError, match=r"^Flash Attention does not support non-null attn_mask\.$"):
        prepare("sdpa flash", RAGGED)


def test_a_backend_without_a_gradient_says_so_when_asked_for_it() -> None:
    """The CPU's flash takes a bias, and has no gradient for it."""
    case = KINDS[3]
    prepared = prepare("sdpa flash", case)
    true = by_hand(case, Attention().draw(case, torch.float64, CPU, 0))
    assert distances(solve_forward(prepared), true)["out"] < 1e-12
    with pytest.raises(NotImplementedError, match="kernel"):
        solve(prepared)


def test_other_errors_of_sdpa_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def sdpa(*_: object, **__: object) -> Tensor:
        raise RuntimeError("cuDNN frontend error")

    monkeypatch.setattr(module.functional, "scaled_dot_product_attention", sdpa)
    with pytest.raises(RuntimeError, match="frontend"):
        prepare("sdpa cudnn", RAGGED)


@pytest.mark.parametrize("name", ["sdpa cudnn", "sdpa efficient", "varlen_attn", "flash-attn"])
def test_no_cpu_kernel_is_said_so(name: str) -> None:
    with pytest.raises(NotImplementedError):
        prepare(name, RAGGED)


@pytest.mark.parametrize("name", ["varlen_attn", "flash-attn", "flash-attn 3", "flash-attn 4"])
def test_no_bias_is_said_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotImplementedError, match="bias"):
        prepare(name, KINDS[3])


class Definition:
    """Functions with the signatures of the packages, and the meaning of the definition."""

    def new_varlen(
        self, query: Tensor, key: Tensor, value: Tensor, cu_seq_q: Tensor, cu_seq_k: Tensor, max_q: int,
        max_k: int, *, window_size: tuple[int, int] = (-1, -1),
    ) -> Tensor:  # fmt: skip
        return self._attend(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *window_size)

    def old_varlen(
        self, query: Tensor, key: Tensor, value: Tensor, cu_seq_q: Tensor, cu_seq_k: Tensor, max_q: int,
        max_k: int, is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        return self._attend(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, -1, 0 if is_causal else -1)

    def flash(
        self, q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, max_seqlen_q: int,
        max_seqlen_k: int, causal: bool = False, window_size: tuple[int, int] = (-1, -1),
    ) -> Tensor:  # fmt: skip
        left, right = window_size
        return self._attend(
            q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, left, 0 if causal else right
        )

    def flash_with_lse(self, q: Tensor, k: Tensor, v: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
        out = self.flash(q, k, v, **options)
        return out, out.sum(-1)

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, starts_q: Tensor, starts_k: Tensor, longest_q: int,
        longest_k: int, left: int, right: int,
    ) -> Tensor:  # fmt: skip
        assert starts_q.dtype == starts_k.dtype == torch.int32
        window = None if left < 0 else 2 * left + 1
        return attention(
            q, k, v, starts_q, starts_k, max_length_q=longest_q, max_length_k=longest_k, causal=right == 0,
            window=window, backend="reference",
        )  # fmt: skip


@pytest.fixture
def as_on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_kernels", lambda device: True)


@pytest.mark.usefixtures("as_on_gpu")
@pytest.mark.parametrize("case", [*KINDS[:3], *KINDS[4:7]], ids=lambda case: case.name)
def test_varlen_attn_is_given_its_arguments(case: AttentionCase, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("torch.nn.attention.varlen")
    fake.varlen_attn = Definition().new_varlen  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", fake)
    check(prepare("varlen_attn", case), case)


@pytest.mark.usefixtures("as_on_gpu")
@pytest.mark.parametrize("case", [KINDS[0], KINDS[1]], ids=lambda case: case.name)
def test_varlen_attn_of_older_pytorch(case: AttentionCase, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("torch.nn.attention.varlen")
    fake.varlen_attn = Definition().old_varlen  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", fake)
    check(prepare("varlen_attn", case), case)
    with pytest.raises(NotImplementedError, match="window"):
        prepare("varlen_attn", KINDS[2])


@pytest.mark.usefixtures("as_on_gpu")
@pytest.mark.parametrize("case", [*KINDS[:3], *KINDS[4:7]], ids=lambda case: case.name)
@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("flash-attn", "flash_attn"),
        ("flash-attn 3", "flash_attn_interface"),
        ("flash-attn 4", "flash_attn.cute"),
    ],
)
def test_flash_attn_is_given_its_arguments(
    name: str, package: str, case: AttentionCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = types.ModuleType(package)
    definition = Definition()
    function: Any = definition.flash_with_lse if name == "flash-attn 4" else definition.flash
    fake.flash_attn_varlen_func = function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flash_attn", types.ModuleType("flash_attn"))
    monkeypatch.setitem(sys.modules, package, fake)
    check(prepare(name, case), case)


@pytest.mark.parametrize("case", KINDS, ids=lambda case: case.name)
def test_flex_is_given_the_right_mask_and_score(case: AttentionCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uncompiled, FlexAttention is a definition too; forward, since it has no backward pass on a CPU."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="flex_attention called without torch.compile")
        prepared = prepare("flex", case)
        found = solve_forward(prepared)
    true = by_hand(case, Attention().draw(case, torch.float64, CPU, 0))
    assert distances(found, true)["out"] < 1e-12
    with pytest.raises(NotImplementedError, match="backward"):
        solve(prepared)
