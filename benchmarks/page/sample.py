"""A page of a given size: a run's held-out texts, a model with random weights, heads from sharp to even.

Shapes: C d_model, H heads, D head size.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import torch

from xformer.errors import InputError
from xformer.inspect.page.make import make_page
from xformer.inspect.page.parts import KEEP, extras
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import tokens_of
from xformer.model.config import ModelConfig
from xformer.model.layers import Block
from xformer.model.multilingual import MultilingualModel
from xformer.storage.files import atomic_write
from xformer.tokenizer import Tokenizer

from ..encode.texts import texts_of_run

_D_HEAD = 32
_SHARPEST = 40.0
"""Factor of the sharpest head's queries; of random ones, scores then differ by about 10."""


def write_sample(file: Path, run: Path, *, tokens: int, layers: int, heads: int) -> None:
    """Write the page.

    Args:
        file: HTML.
        run: whose texts and tokenizer are used.
        tokens: of the text.
        layers: of the model.
        heads: of each layer.

    Raises:
        InputError: the run's held-out texts have fewer tokens.
    """
    texts, tokenizer = texts_of_run(run, 20 * tokens)
    subject = _subject(tokenizer, tokens, layers, heads)
    text = _text(subject, texts, tokens)
    page = make_page(
        [subject], [text], title=f"{tokens} tokens, {layers} × {heads} heads", extras=extras(), keep=KEEP
    )
    with atomic_write(file) as made:
        made.write(page)


def _text(subject: Subject, texts: list[str], tokens: int) -> str:
    """Texts, one after another, up to the end of the last token that is wanted."""
    joined = ""
    for one in texts:
        joined = f"{joined} {one}" if joined else one
        found = subject.tokenise(joined)
        if len(found) >= tokens:
            cut = joined[: found.spans[tokens - 1][1]]
            if len(subject.tokenise(cut)) == tokens:
                return cut
    raise InputError(f"expected a run with held-out texts of {tokens} tokens in all, which can be cut there")


def _subject(tokenizer: Tokenizer, tokens: int, layers: int, heads: int) -> Subject:
    torch.manual_seed(0)
    config = ModelConfig(
        vocab_size=tokenizer.vocab_size,
        d_model=_D_HEAD * heads,
        n_layers=layers,
        n_heads=heads,
        d_ff=2 * _D_HEAD * heads,
        max_length=tokens,
        window=None,
        bigrams=0,
        zero_init_residual=False,
    )
    network = MultilingualModel(config).eval()
    # A head of a trained model may look at one token or at all. Random ones look at all.
    factors = torch.logspace(0, 1, heads, base=_SHARPEST)
    for block in network.encoder.layers:
        assert isinstance(block, Block)
        queries = block.attn.Wqkv.weight.data[: config.d_model].view(heads, _D_HEAD, -1)
        queries *= factors[:, None, None]
    return Subject(
        name=f"random {layers} × {heads}",
        network=network,
        tokens=tokens_of(tokenizer),
        device=torch.device("cpu"),
        computing=nullcontext,
        max_length=tokens,
    )
