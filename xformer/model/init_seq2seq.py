"""Start a translator from a pretrained encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from xformer.errors import InputError
from xformer.model.encoder import Encoder
from xformer.model.seq2seq import Seq2Seq

CrossAttention = Literal["self", "drawn"]


@torch.no_grad()
def init_from_encoder(model: Seq2Seq, encoder: Encoder, *, cross_attention: CrossAttention = "self") -> None:
    """Copy the weights of an encoder into both halves of a translator (Rothe et al. 2020, "Leveraging
    Pre-trained Checkpoints for Sequence Generation Tasks").

    The decoder's blocks are those of the encoder; evenly spaced ones where it has fewer. Its T5 bias and the
    output layer's own parameters stay as they are: the encoder has none that mean the same.

    Args:
        model: changed in place.
        encoder: of the architecture of the model's encoder; it is not changed.
        cross_attention: `self`: begins as the self-attention of the same block. `drawn`: stays as it is.

    Raises:
        InputError: a weight has another shape in the encoder, or none; nothing is copied then.
    """
    theirs = dict(encoder.named_parameters())
    pairs = _pairs("encoder", dict(model.encoder.named_parameters()), theirs)
    embeddings = model.decoder.embeddings
    pairs += _pairs("decoder.embeddings", dict(embeddings.named_parameters()), theirs, "embeddings.")
    pairs += _pairs(
        "decoder.final_norm", dict(model.decoder.final_norm.named_parameters()), theirs, "final_norm."
    )
    depth, their_depth = len(model.decoder.layers), len(encoder.layers)
    if depth and not their_depth:
        raise InputError("decoder: expected an encoder with blocks to start from, got none")
    for layer, block in enumerate(model.decoder.layers):
        origin = round(layer * (their_depth - 1) / (depth - 1)) if depth > 1 else their_depth - 1
        source = dict(encoder.layers[origin].named_parameters())
        pairs += _block_pairs(f"decoder.layers.{layer}", block, source, cross_attention)
    for ours, value in pairs:
        ours.copy_(value)


def _block_pairs(
    name: str, block: nn.Module, source: Mapping[str, Tensor], cross_attention: CrossAttention
) -> list[tuple[Tensor, Tensor]]:
    ours = dict(block.named_parameters())
    across = {part: value for part, value in ours.items() if part.startswith("cross_")}
    alone = {part: value for part, value in ours.items() if part not in across}
    if not any(part.startswith("attn_norm.") for part in source):  # the first block of some has none
        alone = {part: value for part, value in alone.items() if not part.startswith("attn_norm.")}
        across = {part: value for part, value in across.items() if not part.startswith("cross_norm.")}
    pairs = _pairs(name, alone, source)
    if cross_attention == "self":
        expected = {}
        for part, value in source.items():
            if part.startswith("attn.Wqkv."):
                size = len(value) // 3
                kind = part.removeprefix("attn.Wqkv.")
                expected[f"cross_attn.Wq.{kind}"], expected[f"cross_attn.Wkv.{kind}"] = (
                    value[:size],
                    value[size:],
                )
            elif part.startswith(("attn.", "attn_norm.")):
                expected["cross_" + (part if part.startswith("attn.") else part.removeprefix("attn_"))] = (
                    value
                )
        pairs += _pairs(name, across, expected)
    return pairs


def _pairs(
    name: str, ours: dict[str, nn.Parameter], theirs: Mapping[str, Tensor], prefix: str = ""
) -> list[tuple[Tensor, Tensor]]:
    """Each parameter beside the one of the same name."""
    for part, value in ours.items():
        got = theirs.get(prefix + part)
        if got is None or got.shape != value.shape:
            found = "none" if got is None else tuple(got.shape)
            raise InputError(
                f"{name}.{part}: expected a weight {tuple(value.shape)} of the encoder, got {found}"
            )
    return [(value, theirs[prefix + part]) for part, value in ours.items()]
