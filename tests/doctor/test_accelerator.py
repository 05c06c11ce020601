from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xformer.doctor.accelerator import gpu_findings, precision_finding, torch_finding, triton_finding
from xformer.doctor.requirements import Requirement

TORCH = Requirement("torch", "2.11", None)
CPU: dict[str, Any] = {"torch": "2.13.0+cpu", "seconds": 1.5, "threads": 2, "gpus": [], "triton": "3.9.0"}
GPU = {"name": "A GPU", "free": 3 << 30, "total": 4 << 30, "capability": [9, 0]}


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    """A system with NVIDIA's driver."""
    (tmp_path / "driver/nvidia").mkdir(parents=True)
    text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.133.20  Sun Mar 30 2025\n"
    (tmp_path / "driver/nvidia/version").write_text(text, encoding="utf-8")
    return tmp_path


def test_torch_that_fits() -> None:
    assert torch_finding(CPU, "", TORCH).state == "ok"


@pytest.mark.parametrize(
    ("answers", "ended", "word"),
    [
        ({"torch_error": "OSError: libtorch.so"}, "", "does not import (OSError: libtorch.so)"),
        ({}, "ended by signal 4, an instruction that this CPU lacks", "signal 4"),
        (CPU | {"torch": "2.9.0"}, "", "too old: pip install -U 'torch>=2.11'"),
        (CPU, "ended by signal 11", "imports, but then: ended by signal 11"),
    ],
)
def test_torch_that_is_broken(answers: dict[str, Any], ended: str, word: str) -> None:
    found = torch_finding(answers, ended, TORCH)
    assert found.state == "broken"
    assert word in found.verdict


def test_a_slow_import_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert "unset PYTHONDONTWRITEBYTECODE" in torch_finding(CPU | {"seconds": 9.0}, "", TORCH).verdict
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE")
    assert torch_finding(CPU | {"seconds": 9.0}, "", TORCH).state == "ok"


def test_gpus(driver: Path) -> None:
    (found,) = gpu_findings(CPU | {"gpus": [GPU]}, {}, driver)
    assert found.value == "A GPU, 3.0 GiB free of 4.0 GiB, capability 9.0, driver 570.133.20"
    (full,) = gpu_findings(CPU | {"gpus": [GPU | {"free": 1 << 20}]}, {}, driver)
    assert full.state == "warning"


@pytest.mark.parametrize(
    ("answers", "environment", "with_driver", "state", "word"),
    [
        ({}, {}, False, "note", "no driver, and this torch is built without CUDA"),
        ({}, {}, True, "warning", "built without CUDA: install another"),
        ({"built_for_cuda": "13.0"}, {"CUDA_VISIBLE_DEVICES": ""}, True, "warning", "hides it: unset it"),
        (
            {"built_for_cuda": "13.0", "no_gpu_because": "driver too old"},
            {},
            True,
            "warning",
            "cannot use it: driver too old",
        ),
        ({"built_for_cuda": "13.0"}, {}, False, "note", "no driver"),
    ],
)
def test_why_there_is_no_gpu(
    tmp_path: Path,
    driver: Path,
    answers: dict[str, Any],
    environment: dict[str, str],
    with_driver: bool,
    state: str,
    word: str,
) -> None:
    (found,) = gpu_findings(CPU | answers, environment, driver if with_driver else tmp_path / "nowhere")
    assert found.state == state
    assert word in found.verdict


def test_triton() -> None:
    def found(answers: dict[str, Any]) -> str:
        finding = triton_finding(answers)
        assert finding is not None
        return f"{finding.state} {finding.verdict}"

    assert "interpreter alone" in found(CPU)
    assert "compiles" in found(CPU | {"gpus": [GPU]})
    without = {name: value for name, value in CPU.items() if name != "triton"}
    assert found(without).startswith("note")
    assert found(without | {"gpus": [GPU]}).startswith("broken")
    assert triton_finding({}) is None


def test_precision(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("flags : avx512_bf16\n", encoding="utf-8")
    slow = {"precision": "fp32", "seconds_of": {"fp32": 0.01, "bf16": 0.02}, "why": "…"}
    found = precision_finding(CPU | slow, tmp_path)
    assert found is not None
    assert found.value == "fp32 10.0 ms, bf16 20.0 ms"
    assert "would take fp32" in found.verdict
    assert "no faster here" in found.verdict
    lacking = precision_finding(
        CPU | {"precision": "fp32", "seconds_of": {}, "why": "as this CPU has no instructions"}
    )
    assert lacking is not None
    assert lacking.verdict.endswith("takes it, as this CPU has no instructions")
    failed = precision_finding(CPU | {"precision_error": "RuntimeError: x"})
    assert failed is not None
    assert failed.state == "broken"
    assert precision_finding({}) is None
    assert list(gpu_findings({})) == []
