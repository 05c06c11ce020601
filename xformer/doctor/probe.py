"""What is asked of a process of its own, so that a library that crashes, hangs or fails ends nothing else.

Run as `python -m xformer.doctor.probe torch` or `… probe libraries NAME …`. It prints a JSON object a line,
as soon as it knows it.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

TOKENS = 512
"""Rows of the products that are timed."""


class Probe:
    """A process that was asked something, and goes on in the background."""

    def __init__(self, what: str, *names: str) -> None:
        command = [sys.executable, "-m", "xformer.doctor.probe", what, *names]
        self._process: subprocess.Popen[bytes] | None = None
        self._failed = ""
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            self._failed = f"Python cannot be started: {error}"

    @property
    def pid(self) -> int:
        """Its number; 0 if it could not be started."""
        return 0 if self._process is None else self._process.pid

    def answers(self, patience: float = 60.0) -> tuple[dict[str, Any], str]:
        """Wait for the end.

        Args:
            patience (seconds): after which the process is ended.

        Returns:
            All that it printed as one mapping, and why it ended early; empty if it did not.
        """
        if self._process is None:
            return {}, self._failed
        try:
            out, err = self._process.communicate(timeout=patience)
            why = "" if self._process.returncode == 0 else _why(self._process.returncode, err)
        except subprocess.TimeoutExpired:
            self._process.kill()
            out, _ = self._process.communicate()
            why = f"no answer within {patience:.0f} s"
        return _joined(out), why


def _joined(out: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in out.decode("utf-8", "replace").splitlines():
        try:
            one = json.loads(line)
        except ValueError:
            continue  # something that a library printed
        if isinstance(one, dict):
            found |= one
    return found


def _why(status: int, err: bytes) -> str:
    if status < 0:
        return f"ended by signal {-status}" + (", an instruction that this CPU lacks" if status == -4 else "")
    last = err.decode("utf-8", "replace").strip().splitlines()[-1:]
    return last[0][:200] if last else f"exit status {status}"


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def libraries(names: Sequence[str]) -> None:
    """Import each library, and say of each what went wrong; empty if nothing did."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            _say(**{name: f"{type(error).__name__}: {error}"[:200]})
        else:
            _say(**{name: ""})


def torch_and_devices() -> None:
    """Import torch and look for devices; time the products of a block in fp32 and bf16; import Triton."""
    began = time.perf_counter()
    try:
        import torch
    except Exception as error:
        _say(torch_error=f"{type(error).__name__}: {error}"[:200])
        return
    _say(
        torch=str(torch.__version__),
        seconds=round(time.perf_counter() - began, 2),
        threads=torch.get_num_threads(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        built_for_cuda=torch.version.cuda,
        built_for_rocm=getattr(torch.version, "hip", None),
    )
    for part in (_gpus, _triton, _precision):
        try:
            part(torch)
        except Exception as error:
            _say(**{f"{part.__name__.strip('_')}_error": f"{type(error).__name__}: {error}"[:200]})


def _gpus(torch: Any) -> None:
    found = []
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            found.append(
                {
                    "name": torch.cuda.get_device_name(number),
                    "free": free,
                    "total": total,
                    "capability": list(torch.cuda.get_device_capability(number)),
                }
            )
    elif torch.version.cuda:
        try:
            torch.cuda.init()  # says why
        except Exception as error:
            _say(no_gpu_because=str(error).strip().splitlines()[0][:200])
    _say(gpus=found)


def _triton(torch: Any) -> None:
    try:
        import triton
    except Exception as error:
        _say(triton_error=f"{type(error).__name__}: {error}"[:200])
    else:
        _say(triton=str(triton.__version__))


def _precision(torch: Any) -> None:
    from xformer.training.precision import choose_precision

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)  # two that wait for each other beside a busy process would be what is measured
    choice = choose_precision("auto", device, _timed_block(torch, device))
    _say(precision=choice.precision, seconds_of=choice.seconds, why=choice.why)


def _timed_block(torch: Any, device: Any) -> Callable[[Any], float]:
    """A function that gives the seconds of the products of a feed-forward, both ways, in a precision."""
    from xformer.model.config import ModelConfig
    from xformer.training.precision import autocast

    config = ModelConfig()
    generator = torch.Generator().manual_seed(0)
    sizes = [(TOKENS, config.d_model), (config.d_model, 2 * config.d_ff), (2 * config.d_ff, config.d_model)]
    x, up, down = (
        torch.randn(size, generator=generator).to(device).requires_grad_(place > 0)
        for place, size in enumerate(sizes)
    )

    def seconds(precision: Any) -> float:
        wait = partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None
        wait()
        began = time.perf_counter()
        with autocast(precision, device):
            out = ((x @ up).relu() @ down).sum()
        out.backward()
        wait()
        return time.perf_counter() - began

    return seconds


if __name__ == "__main__":
    if sys.argv[1] == "torch":
        torch_and_devices()
    else:
        libraries(sys.argv[2:])
