"""Findings about torch, GPUs, Triton and precision, from what a process of its own answered."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xformer.doctor.finding import Finding, size
from xformer.doctor.limits import PROC, cpu_flags, read
from xformer.doctor.requirements import Requirement, is_older, version_of

_SLOW_IMPORT = 5.0


def torch_finding(answers: Mapping[str, Any], ended: str, needed: Requirement) -> Finding:
    """Whether torch is there, new enough, and can be imported.

    Args:
        answers: of the process that imported it.
        ended: why that process ended early; empty if it did not.
        needed: what this package asks for.
    """
    installed = version_of("torch")
    if "torch" not in answers:
        why = answers.get("torch_error") or ended or "no answer"
        verdict = f"does not import ({why}): pip install --force-reinstall '{needed.wanted}'"
        if installed is None:
            verdict = f"pip install '{needed.wanted}'"
        return Finding("torch", "torch", installed or "missing", verdict, "broken")
    version = str(answers["torch"])
    if needed.least and is_older(version, needed.least):
        return Finding("torch", "torch", version, f"too old: pip install -U '{needed.wanted}'", "broken")
    if ended:
        return Finding("torch", "torch", version, f"imports, but then: {ended}", "broken")
    value = f"{version}, imported in {answers['seconds']:.1f} s"
    slow = answers["seconds"] > _SLOW_IMPORT
    if slow and os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return Finding(
            "torch", "torch", value, "each start compiles it: unset PYTHONDONTWRITEBYTECODE", "warning"
        )
    verdict = "fits; the next import should be quicker, unless the machine is busy" if slow else "fits"
    return Finding("torch", "torch", value, verdict)


def gpu_findings(
    answers: Mapping[str, Any], environment: Mapping[str, str] = os.environ, proc: Path = PROC
) -> Iterator[Finding]:
    """Findings about each GPU, or why torch sees none."""
    if "torch" not in answers:
        return
    gpus = answers.get("gpus") or []
    driver = re.search(r"Kernel Module.*?\s(\d+[\d.]+)", read(proc / "driver" / "nvidia" / "version"))
    for number, gpu in enumerate(gpus):
        major, minor = gpu["capability"]
        value = f"{gpu['name']}, {size(gpu['free'])} free of {size(gpu['total'])}, capability {major}.{minor}"
        value += f", driver {driver[1]}" if driver else ""
        if gpu["free"] < gpu["total"] / 4:
            verdict = "others use most of its memory: see nvidia-smi, or choose with CUDA_VISIBLE_DEVICES"
            yield Finding("GPU", f"GPU {number}", value, verdict, "warning")
        else:
            yield Finding("GPU", f"GPU {number}", value, "commands use it by themselves")
    if not gpus:
        value, verdict, state = _no_gpu(answers, environment, driver[1] if driver else None)
        yield Finding("GPU", "GPU", value, verdict, "warning" if state else "note")


def _no_gpu(
    answers: Mapping[str, Any], environment: Mapping[str, str], driver: str | None
) -> tuple[str, str, bool]:
    """Why torch sees none, what to do, and whether there seems to be one."""
    hidden = environment.get("CUDA_VISIBLE_DEVICES")
    if driver and hidden is not None and hidden.strip() in ("", "-1"):
        return "hidden", f"CUDA_VISIBLE_DEVICES={hidden!r} hides it: unset it", True
    built = answers.get("built_for_cuda") or answers.get("built_for_rocm")
    if driver and not built:
        return (
            f"driver {driver} is there",
            "this torch is built without CUDA: install another, pytorch.org",
            True,
        )
    if driver:
        why = answers.get("no_gpu_because") or answers.get("gpus_error") or "no reason given"
        return f"driver {driver} is there", f"torch cannot use it: {why}", True
    if built:
        why = answers.get("no_gpu_because") or "no driver"
        return "none", f"all runs on the CPU; torch says: {why}", False
    return "none", "no driver, and this torch is built without CUDA; all runs on the CPU", False


def triton_finding(answers: Mapping[str, Any]) -> Finding | None:
    """Whether our own kernels can run, and how; None where torch did not even import."""
    if "torch" not in answers:
        return None
    if "triton" not in answers:
        why = answers.get("triton_error", "no answer")
        gpus = bool(answers.get("gpus"))
        verdict = (
            "the kernels need it on a GPU: pip install the release that torch names"
            if gpus
            else ("not needed on a CPU: PyTorch's own operations are used")
        )
        return Finding("torch", "Triton", f"not there ({why})", verdict, "broken" if gpus else "note")
    version = str(answers["triton"])
    if answers.get("gpus"):
        return Finding("torch", "Triton", version, "compiles the kernels for the GPU")
    verdict = "no GPU: kernels run in its interpreter alone (TRITON_INTERPRET=1, for tests)"
    return Finding("torch", "Triton", version, verdict)


def precision_finding(answers: Mapping[str, Any], proc: Path = PROC) -> Finding | None:
    """What training.precision=auto would choose, and why; None where torch did not even import."""
    if "torch" not in answers:
        return None
    if "precision" not in answers:
        why = answers.get("precision_error", "no answer")
        return Finding("torch", "precision", "unknown", f"products failed: {why}", "broken")
    chosen, seconds = answers["precision"], answers.get("seconds_of") or {}
    flags = cpu_flags(proc)
    if not seconds:
        return Finding("torch", "precision", chosen, f"training.precision=auto takes it, {answers['why']}")
    value = ", ".join(f"{name} {1e3 * second:.1f} ms" for name, second in seconds.items())
    verdict = (
        f"training.precision=auto would take {chosen}, as products of a default block on one thread tell (it"
        " measures steps of the run itself)"
    )
    if chosen == "fp32" and any("bf16" in flag for flag in flags):
        verdict += "; the CPU has instructions for bf16, which are no faster here"
    return Finding("torch", "precision", value, verdict)
