"""Launches recorded from real calls: what Triton would compile on a machine that is not here.

A call runs on CPU tensors that stand for the machine's (`device.cpu_as`). Triton takes the arguments of each
launch as it always does, and specializes on them: strides of 1, multiples of 16, absent tensors. Its own hook
stops it before it compiles, so that nothing is compiled and nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.driver import driver

from ..device import Target, cpu_as
from ..operation import on_device

_OPTIONS = ("num_warps", "num_stages", "enable_fp_fusion")


@dataclass(frozen=True)
class Launch:
    """One kernel in one configuration.

    Attributes:
        configuration: of the call, such as `D=64 fp16 causal`.
        function: the `triton.jit` function.
        signature: Triton's type of each argument: `*fp16`, `i32`, `constexpr` …
        constants: values of the arguments that are `constexpr`, by name.
        attributes: what is known of the others, such as divisibility by 16, by Triton's path of each.
        options: compile options, by Triton's names; warps and stages among them.
    """

    configuration: str
    function: Any
    signature: Mapping[str, str]
    constants: Mapping[str, Any]
    attributes: Mapping[tuple[int, ...], Any]
    options: Mapping[str, Any]

    @property
    def kernel(self) -> str:
        """Name of the function, such as `attention_forward`."""
        return str(self.function.__name__)

    @property
    def identity(self) -> str:
        """Equal for launches that share one compiled kernel on a target."""
        return repr((self.kernel, self.signature, self.constants, self.attributes, self.options))

    def compile(self, target: Target) -> Any:
        """Triton's compiled kernel, for a machine that need not be here."""
        source = ASTSource(self.function, dict(self.signature), dict(self.constants), dict(self.attributes))
        return triton.compile(source, target=_gpu(target), options=dict(self.options))


def record(target: Target, configuration: str, call: Callable[[], object]) -> list[Launch]:
    """The launches that a call makes on a target, each once.

    Args:
        target: the machine.
        configuration: name of the call.
        call: uses kernels on CPU tensors.

    Returns:
        Its launches, in order. Results of the call mean nothing, because no kernel runs.

    Raises:
        RuntimeError: the kernels were imported with TRITON_INTERPRET=1.
    """
    found: dict[str, Launch] = {}

    def hook(*, fn: Any, compile: dict[str, Any], **_: Any) -> bool:
        names = fn.jit_function.arg_names
        launch = Launch(
            configuration,
            fn.jit_function,
            compile["signature"],
            {names[path[0]]: value for path, value in compile["constants"].items()},
            compile["configs"][0],
            {name: compile[name] for name in _OPTIONS},
        )
        found.setdefault(launch.identity, launch)
        return True  # do not compile

    if triton.knobs.runtime.interpret:
        raise RuntimeError("kernels are interpreted: unset TRITON_INTERPRET before importing them")
    with _triton_on(target, hook), cpu_as(target):
        on_device.cache_clear()  # its plans are kept by device
        try:
            call()
        finally:
            on_device.cache_clear()
    return list(found.values())


class _Machine:
    """A Triton driver for a machine that is not here."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def get_current_target(self) -> GPUTarget:
        return _gpu(self._target)

    def get_current_device(self) -> str:
        """Triton's key for all that it keeps of a device."""
        return self._target.name

    def get_current_stream(self, device: str) -> int:
        return 0


@contextmanager
def _triton_on(target: Target, hook: Callable[..., bool]) -> Iterator[None]:
    # `driver.active` would look for a GPU.
    machine, knobs = driver._active, triton.knobs.runtime
    before = knobs.jit_cache_hook
    driver.set_active(_Machine(target))
    knobs.jit_cache_hook = hook
    try:
        yield
    finally:
        knobs.jit_cache_hook = before
        driver.set_active(machine)


def _gpu(target: Target) -> GPUTarget:
    return GPUTarget(target.backend, target.arch, target.warp_size)
