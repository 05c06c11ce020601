"""Where the Triton kernels run in these tests: on a GPU, or else in Triton's interpreter."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements that any tensor had which an operation returned.

    What happens inside a custom operator is hidden from it.

    Attributes:
        numel: how many.
    """

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operation, and look at what it returns."""
        result = function(*args, **(kwargs or {}))
        for x in tree_leaves(result):
            if isinstance(x, Tensor) and x.untyped_storage().nbytes() > 0:
                self.numel = max(self.numel, x.untyped_storage().nbytes() // x.element_size())
        return result


@pytest.fixture(scope="session")
def triton_device() -> torch.device:
    """The device that the `triton` backend runs on here; skips where there is no triton."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installed")
    return torch.device("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda")


@pytest.fixture(scope="session", autouse=True)
def _loops_of_older_interpreters() -> None:
    """Let Triton 3.6 interpret loops under NumPy 2.4.

    Its interpreter holds a scalar as an array of one element, and turns a loop's bounds into integers by
    `int(array)`, which NumPy 2.4 no longer does. Later ones squeeze the array first.
    """
    if importlib.util.find_spec("triton") is None or os.environ.get("TRITON_INTERPRET") != "1":
        return
    triton = importlib.import_module("triton")
    if tuple(map(int, triton.__version__.split(".")[:2])) > (3, 6):
        return
    interpreter: Any = importlib.import_module("triton.runtime.interpreter")
    patch = interpreter._patch_lang_tensor

    def patched(tensor: Any, *arguments: Any) -> None:
        patch(tensor, *arguments)
        tensor.__index__ = lambda self: int(self.handle.data.item())

    interpreter._patch_lang_tensor = patched


@pytest.fixture
def largest() -> LargestTensor:
    """A dispatch mode that tells how large a tensor operations made."""
    return LargestTensor()


@pytest.fixture
def poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Fresh memory holds NaN, so that what is never written is seen; gives a count of allocations."""
    count = [0]
    names = ((torch, "empty"), (torch, "empty_like"), (torch.Tensor, "new_empty"))

    def poison(allocate: Any) -> Any:
        def poisoned(*args: Any, **kwargs: Any) -> torch.Tensor:
            fresh: torch.Tensor = allocate(*args, **kwargs)
            if fresh.is_floating_point():
                count[0] += 1
                fresh.fill_(float("nan"))
            return fresh

        return poisoned

    for owner, name in names:
        monkeypatch.setattr(owner, name, poison(getattr(owner, name)))
    return count
