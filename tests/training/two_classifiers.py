"""Two processes train the tiny classifier, by DDP, then by FSDP2: python two_classifiers.py RUN RUN."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import torch
from many import fork  # type: ignore[import-not-found]
from tiny_classifier import Settings, train_classifier  # type: ignore[import-not-found]

from xformer.progress import Progress
from xformer.runs.config import Sharding, TrainingConfig


def train(path: str, sharding: Sharding) -> int:
    """Train 20 steps as one of two processes; the exit status."""
    options = TrainingConfig(
        budget=None, steps=20, precision="fp32", sharding=sharding, log_steps=5, trackers=()
    )
    return 0 if train_classifier(Path(path), Settings(options, dropout=0.0), Progress()) else 1


if __name__ == "__main__":
    torch.set_num_threads(1)
    statuses = fork(2, partial(train, sys.argv[1], "none")) + fork(2, partial(train, sys.argv[2], "full"))
    sys.exit(max(statuses))
