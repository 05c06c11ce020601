"""Initial weights of the encoder and its heads.

The order of draws is part of the contract: the same seed gives the same weights.

Shapes: C d_model, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xformer.model.cpu import EmbeddingTable
from xformer.model.positions import LearnedPositions, T5Bias


@torch.no_grad()
def draw_weights(module: nn.Module, std: float) -> None:
    """Draw the weights of linear layers and embeddings from a normal distribution, in the module's order.

    Biases become zero. Norms and tables with a blank row (bigrams) stay as they are made: one, and zero. On
    the device `meta`, which holds no values, nothing is drawn: torch would import its compiler for that.
    """
    for part in module.modules():
        blank = isinstance(part, EmbeddingTable) and part.blank is not None
        if (
            isinstance(part, nn.Linear | nn.Embedding | LearnedPositions | T5Bias | EmbeddingTable)
            and not blank
            and not part.weight.is_meta
        ):
            part.weight.normal_(std=std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            part.bias.zero_()


@torch.no_grad()
def undo_draws(module: nn.Module) -> None:
    """Give all parts of a module the values with which they are made, before `draw_weights`.

    As when they are made, linear layers and embeddings draw from the global generator what `draw_weights`
    overwrites: so a module that got its memory later (`Module.to_empty`) has the weights of one that was
    built under the same seed, bit for bit.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding | nn.LayerNorm | nn.RMSNorm):
            part.reset_parameters()
        elif isinstance(part, LearnedPositions | T5Bias | EmbeddingTable):
            part.weight.zero_()


def take_memory(module: nn.Module) -> None:
    """Give a module that was built on the device `meta` memory on the CPU; its values are undefined.

    `Module.to_empty` does the same, and imports much of torch's compiler. Tensors that parts share are not
    shared afterwards.
    """
    for part in module.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            empty = torch.empty(weight.shape, dtype=weight.dtype)
            part.register_parameter(name, nn.Parameter(empty, weight.requires_grad))
        for name, buffer in list(part.named_buffers(recurse=False)):
            setattr(part, name, torch.empty(buffer.shape, dtype=buffer.dtype))


@torch.no_grad()
def scale_residual_outputs(blocks: nn.Module, zero: bool) -> None:
    """Scale the last projection of each sublayer by 1/√(number of sublayers), or set it to zero.

    Each residual sum adds variance; scaled so, that of the stream does not grow with depth (GPT-2). With
    zeros, each block begins as the identity.
    """
    outputs = [weight for name, weight in blocks.named_parameters() if name.endswith(".Wo.weight")]
    for weight in outputs:
        weight.mul_(0.0 if zero else len(outputs) ** -0.5)


@torch.no_grad()
def init_attention_as_mean(attention: nn.Module) -> None:
    """Make self-attention, while its biases are zero, return the mean over the sequence.

    All keys are zero, so that all tokens weigh the same; values and output are the identity. In the first
    block, behind the embedding's norm, the sum of a token and that mean keeps the mean's direction.
    """
    qkv, output = attention.get_parameter("Wqkv.weight"), attention.get_parameter("Wo.weight")
    _, key, value = qkv.chunk(3)
    key.zero_()
    for weight in (value, output):
        weight.copy_(torch.eye(len(output)))


@torch.no_grad()
def init_output_from_unigram(head: nn.Module, log_probs: Tensor) -> None:
    """Make a masked-LM head a unigram model, whatever the encoder gives it.

    The bias becomes the tokens' log frequencies, and the gain of the head's norm zero: the bias alone makes
    the logits. The gain has a gradient from the first step on, so that training leaves this state. Without a
    norm in the head, the hidden states add to the logits as before.

    Args:
        head: `MaskedLMHead`.
        log_probs: (V,) logarithms of the tokens' frequencies, all finite.

    Raises:
        ValueError: there is no bias, or the shape is another, or a value is not finite.
    """
    parameters = dict(head.named_parameters())
    bias, gain = parameters.get("bias"), parameters.get("head.norm.weight")
    if bias is None:
        raise ValueError("model.decoder_bias: expected True to initialise it, got False")
    if log_probs.shape != bias.shape:
        expected, got = tuple(bias.shape), tuple(log_probs.shape)
        raise ValueError(f"log_probs: expected shape {expected}, got {got}")
    if not log_probs.isfinite().all():
        raise ValueError("log_probs: expected finite values; smooth the counts of absent tokens")
    if gain is not None:
        gain.zero_()
    bias.copy_(log_probs)
