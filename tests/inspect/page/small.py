"""A small real subject in fp64 with random weights, whose tokens are letters."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TextTokens, TokenisedText
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel

PIECES = ("[CLS]", "[SEP]", "[MASK]", *'abcdefgh <>=&"אבג')


def letters(text: str) -> TokenisedText:
    """Each letter a token, between two special ones."""
    n = len(text)
    return TokenisedText(
        text,
        np.array([0, *(PIECES.index(letter) for letter in text), 1]),
        ("[CLS]", *text, "[SEP]"),
        ((0, 0), *((place, place + 1) for place in range(n)), (n, n)),
        (True, *[False] * n, True),
        (-1, *(text[:place].count(" ") for place in range(n)), -1),
    )


def small_subject(*, masked_lm: bool = True, **settings: Any) -> Subject:
    """Two layers of two heads; weights are drawn from the global seed."""
    sizes: dict[str, Any] = dict(vocab_size=len(PIECES), d_model=16, n_layers=2, n_heads=2, d_ff=16)
    others = {"zero_init_residual": False, "init_std": 0.4, "bigrams": 0, "window": None}
    config = ModelConfig(**sizes | others | settings)
    network = MultilingualModel(config, "mean").double().eval()
    if config.positions == "t5":
        torch.nn.init.normal_(network.encoder.relative_bias.weight)
    return Subject(
        name="small",
        network=network,
        tokens=TextTokens(letters, lambda number: PIECES[number], len(PIECES), frozenset({0, 1, 2}), 2),
        device=torch.device("cpu"),
        computing=nullcontext,
        max_length=64,
        has_masked_lm=masked_lm,
    )


def array(blobs: Any, number: int) -> np.ndarray:
    """A blob as the browser would have it."""
    import zlib

    about, data = blobs._elements[number]
    kinds = {"uint8": "u1", "int8": "i1", "uint16": "<u2", "int16": "<i2", "int32": "<i4", "float32": "<f4"}
    return np.frombuffer(zlib.decompress(data), kinds[about["kind"]]).reshape(about["shape"])
