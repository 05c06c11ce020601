"""A small model in float64 whose tokens are letters, as a subject; its settings by architecture."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import TextTokens, TokenisedText
from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel

LETTERS = "abcdefghijklmnopqrstuvwxyz"
BEGIN, END, MASK, FIRST = 0, 2, 4, 5

OURS = ModelConfig(
    vocab_size=FIRST + len(LETTERS), d_model=24, n_layers=3, n_heads=3, d_ff=16, max_length=32, window=4,
    global_every=2, bigrams=2, zero_init_residual=False, init_std=0.25, pool_after_norm=False,
)  # fmt: skip
"""Pre-norm, rotary, a local layer, bigrams; vectors of three quarters of the stream."""

BERT = replace(
    OURS, positions="learned", n_segments=2, norm_position="post", skip_first_norm=False, final_norm=False,
    bias=True, activation="gelu", window=None, bigrams=0, pooled_dim_fraction=1.0,
)  # fmt: skip
"""Post-norm, learned positions, biases, no final norm."""

ARCHITECTURES = {"ours": OURS, "bert": BERT}


def tokenise(text: str) -> TokenisedText:
    """`<s>`, a token a letter (`_` is the mask), `</s>`."""
    inside = [MASK if letter == "_" else FIRST + LETTERS.index(letter) for letter in text]
    return TokenisedText(
        text=text,
        ids=np.array([BEGIN, *inside, END], dtype=np.int64),
        pieces=("<s>", *text, "</s>"),
        spans=((0, 0), *((n, n + 1) for n in range(len(text))), (len(text), len(text))),
        special=(True, *(letter == "_" for letter in text), True),
        words=(-1, *(-1 if letter == "_" else n for n, letter in enumerate(text)), -1),
    )


def piece(number: int) -> str:
    return {BEGIN: "<s>", END: "</s>", MASK: "<mask>"}.get(number) or LETTERS[number - FIRST]


def tiny_subject(architecture: str = "ours", seed: int = 0, **changes: Any) -> Subject:
    """All its parameters are random, also those that start at zero or one."""
    torch.manual_seed(seed)
    network = MultilingualModel(ARCHITECTURES[architecture]).double().eval()
    for parameter in network.parameters():
        if parameter.dim() == 1:
            with torch.no_grad():
                parameter.add_(torch.randn_like(parameter) * 0.2)
    subject = Subject(
        name="tiny",
        network=network,
        tokens=TextTokens(tokenise, piece, FIRST + len(LETTERS), frozenset({BEGIN, END, MASK}), MASK),
        device=torch.device("cpu"),
        computing=nullcontext,
        max_length=32,
        layer=3,
    )
    return replace(subject, **changes)


def parameters(subject: Subject) -> dict[str, Tensor]:
    """Copies of the encoder's, for the reference."""
    return {name: value.clone() for name, value in subject.network.encoder.state_dict().items()}
