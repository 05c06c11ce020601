"""How a command computes with the model of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from xformer.api import Model


@dataclass(frozen=True)
class ModelOptions:
    """Where and how precisely to compute."""

    device: str | None = None
    """`cpu`, `cuda`, `cuda:1`. Left out: a GPU if there is one."""
    dtype: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Precision of matrix products. `auto`: bf16 on a GPU that has it, else fp32."""
    threads: int | None = None
    """Threads of the CPU. Left out: PyTorch's own number."""

    def load(self, run: Path) -> Model:
        """Open the model of a run.

        Raises:
            InputError: as `xformer.load`.
        """
        from xformer.api import load

        return load(run, device=self.device, dtype=self.dtype, threads=self.threads)
