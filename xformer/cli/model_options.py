"""How a command computes with the model of a run."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from xformer.api import Model
    from xformer.inspect import Subject
    from xformer.inspect.page.film import Frame
    from xformer.runs.opening import Which


@dataclass(frozen=True)
class ModelOptions:
    """Where and how precisely to compute."""

    device: str | None = None
    """`cpu`, `cuda`, `cuda:1`. Left out: a GPU if there is one."""
    dtype: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Precision of matrix products. `auto`: bf16 on a GPU that has it, else fp32."""
    threads: int | None = None
    """Threads of the CPU. Left out: PyTorch's own number."""

    def load(self, run: Path, checkpoint: Which | None = None) -> Model:
        """Open the model of a run: at its newest checkpoint, of one that was fine-tuned the best, or another.

        Raises:
            InputError: as `xformer.load`.
        """
        from xformer.api import load

        return load(run, checkpoint=checkpoint, device=self.device, dtype=self.dtype, threads=self.threads)

    def open(self, model: Path, checkpoint: Which = "newest") -> Subject:
        """Open a run, at its newest checkpoint or another, or a folder of Hugging Face, to look into it.

        Raises:
            InputError: as `xformer.inspect.open`.
        """
        from xformer import inspect

        return inspect.open(model, checkpoint=checkpoint, device=self.device, dtype=self.dtype)

    def frames(self, run: Path) -> list[Frame]:
        """The checkpoints of a run, each to be opened when its turn comes.

        Raises:
            InputError: there is no run.
        """
        from xformer.inspect.page.film import frames_of_run

        return frames_of_run(run, device=self.device, dtype=self.dtype)

    def using_threads(self) -> AbstractContextManager[None]:
        """A block in which PyTorch has this number of threads.

        Raises:
            InputError: the number is none.
        """
        from xformer.embedding.worker_threads import using_threads
        from xformer.errors import InputError

        if self.threads is not None and self.threads < 1:
            raise InputError(f"--threads: expected a number from 1, got {self.threads}")
        return using_threads(self.threads)
