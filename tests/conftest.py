"""What every test can ask for: the test data, a seed, and how hard hypothesis tries."""

from __future__ import annotations

import importlib
import importlib.util
import os
import random
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch

# Fixtures of runs and of corpora for all tests, so that a process makes each once. The tests for a GPU run
# without the packages that these need, too.
_OF_RUNS = ("rich", "safetensors", "sentencepiece", "tomli_w")
pytest_plugins = (
    ("tests.synthetic_runs", "tests.synthetic_shards", "tests.synthetic_labels", "tests.synthetic_examples")
    if all(map(importlib.util.find_spec, _OF_RUNS))
    else ()
)

ROOT = Path(__file__).resolve().parent.parent

# Before anything imports triton, whose own functions are interpreted or not from then on. Where there is no
# GPU, its kernels run in the interpreter.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# In CI a failure is the same failure each time and prints what reproduces it; at a desk every run looks
# somewhere else.
hypothesis.settings.register_profile("desk", deadline=None, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")


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


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of test data (Multi30k, Debian, sentiment) beside the checkout; skips without it."""
    folder = Path(os.environ.get("XFORMER_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; set XFORMER_SHARED_DATA to where it lies")
    return folder


@pytest.fixture
def full_disk() -> Callable[..., AbstractContextManager[None]]:
    """In the block no file grows beyond so many bytes: the system refuses, as where a disk is full."""

    @contextmanager
    def full(room: int = 0) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return full


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Begin each test from the same global random state; torch's too, where something has imported it."""
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked `gpu` where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU; this machine has none that torch can see")
