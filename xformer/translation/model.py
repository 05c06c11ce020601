"""The model of a translation run, with its first weights or to load others into."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from xformer.model.init import take_memory
from xformer.model.init_seq2seq import init_from_encoder
from xformer.model.seq2seq import Seq2Seq
from xformer.pretraining.pretrained import open_pretrained
from xformer.translation.config import TranslationConfig
from xformer.translation.encoded import Vocabulary


def new_model(config: TranslationConfig, vocabulary: Vocabulary, *, begun: bool = False) -> Seq2Seq:
    """A translator as its run begins: random weights from the seed, or those of the pretrained encoder.

    Rows of tags, and all that an encoder has not, begin with random weights.

    Args:
        config: settings of the run.
        vocabulary: of the run.
        begun: whether weights of a checkpoint will replace all of these: the pretrained run is not needed.

    Raises:
        InputError: the pretrained run is gone, or has no checkpoint of that step any more.
    """
    torch.manual_seed(config.training.seed)
    model = Seq2Seq(config.seq2seq, vocabulary.end)
    origin = config.origin
    if not begun and origin.run is not None and origin.init == "pretrained":
        encoder = open_pretrained(origin.run, origin.step).network.encoder
        # Without rows for tags it is the encoder's architecture.
        halves = (replace(half, vocab_size=encoder.config.rows) for half in (config.encoder, config.decoder))
        first, second = halves
        smaller = Seq2Seq(replace(config, encoder=first, decoder=second).seq2seq, vocabulary.end)
        init_from_encoder(smaller, encoder, cross_attention=config.translation.cross_attention)
        _take_over(model, smaller, vocabulary.pieces)
    return model


def blank_model(config: TranslationConfig, vocabulary: Vocabulary) -> Seq2Seq:
    """A translator whose weights are undefined, to load a checkpoint into. No random number is drawn."""
    with torch.device("meta"):
        model = Seq2Seq(config.seq2seq, vocabulary.end)
    take_memory(model)
    return model.eval()


@torch.no_grad()
def _take_over(model: nn.Module, other: nn.Module, pieces: int) -> None:
    """Copy the weights of a model that is the same, but for rows behind those of the pieces."""
    theirs: dict[str, Tensor] = dict(other.named_parameters())
    for name, weight in model.named_parameters():
        rows = len(weight) if weight.shape == theirs[name].shape else pieces
        weight[:rows] = theirs[name][:rows]
