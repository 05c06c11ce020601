"""Cosines of the two texts of pairs, by the pretrained run: the baseline that fine-tuning begins from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.embedding.encode import encode_tokens
from xformer.finetuning.config import FinetuningConfig
from xformer.pretraining.pretrained import open_pretrained
from xformer.progress import Progress
from xformer.storage.files import atomic_write

_FILE = "cosines.json"

Pairs = Sequence[tuple[str, str]]


def settle_cosines(
    folder: Path,
    config: FinetuningConfig,
    pairs: Mapping[str, Pairs],
    progress: Progress,
    device: torch.device,
) -> dict[str, NDArray[np.float64]]:
    """The cosines of pairs by their part, from the folder's file, or computed and written there.

    The pretrained run may be gone when a run goes on; so they are computed before it begins.

    Args:
        folder: of the fine-tuned run's baselines.
        config: settings of the fine-tuned run.
        pairs: by part, such as a tested language.
        progress: where to report.
        device: where to compute.

    Returns:
        By part, (E,); 0 beside an empty text.

    Raises:
        InputError: as `find_run` and `open_checkpoint`.
    """
    digest = hashlib.sha256(f"{config.base.run}\0{config.base.step}".encode())
    for part, some in pairs.items():
        digest.update(json.dumps([part, list(some)]).encode())
    path, key = folder / _FILE, digest.hexdigest()
    if (found := _read(path, key)) is None:
        found = {part: _cosines(config, some, progress, device) for part, some in pairs.items()}
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            json.dump({"pairs": key, "cosines": found}, file)
            file.write("\n")
    return {part: np.array(values, dtype=np.float64) for part, values in found.items()}


def _cosines(config: FinetuningConfig, pairs: Pairs, progress: Progress, device: torch.device) -> list[float]:
    opened = open_pretrained(config.base.run, config.base.step)
    texts = [text for pair in pairs for text in pair]
    ids, _ = opened.tokenizer.sequences(texts, config.base.max_length)
    vectors = encode_tokens(
        opened.network.to(device),
        ids,
        n_layers=None if opened.layer is None else opened.layer.layer,
        device=device,
        progress=progress,
        what="cosines of the pretrained run",
    ).double()
    both: list[float] = (vectors[::2] * vectors[1::2]).sum(dim=1).tolist()
    return both


def _read(path: Path, key: str) -> dict[str, list[float]] | None:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        found: dict[str, list[float]] | None = table["cosines"] if table["pairs"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found
