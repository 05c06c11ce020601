"""Fixtures of the kernel tests: the device of the Triton kernels, poisoned memory, the largest tensor."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LargestTensor(TorchDispatchMode):
    """Records the size of the largest tensor that an operation returned.

    Tensors inside a custom operator are not seen.

    Attributes:
        numel: number of its elements.
    """

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operation, and record the sizes of its results."""
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


@pytest.fixture
def largest() -> LargestTensor:
    """A dispatch mode that records the size of the largest tensor."""
    return LargestTensor()


@pytest.fixture
def poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """New memory holds NaN, so that elements that are never written show; returns a count of allocations."""
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
