"""Who trains, and where, by name. Nothing heavy is imported, so that `--help` is quick."""

from __future__ import annotations

from typing import Literal

TrainerName = Literal[
    "padded", "blocks", "blocks-from-counts", "sentence-transformers", "static-embedding", "xformer"
]
DeviceName = Literal["cpu", "cuda"]
