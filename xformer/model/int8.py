"""A model for inference whose matrix products are computed in 8-bit integers.

Quantised are the products of each block, which take most of the time, and the output layer of a translator.
Embeddings, norms, attention's scores and sums, pooling and the masked-LM head stay as they are.
"""

from __future__ import annotations

from torch import nn

from xformer.model.cpu import interleave_halves
from xformer.model.encoder import Encoder
from xformer.model.int8_linear import Int8Linear
from xformer.model.layers import Attention
from xformer.model.seq2seq import Seq2Seq


def quantise(encoder: Encoder) -> None:
    """Replace the linear layers of each block, in place; the fp32 weights are given up.

    Args:
        encoder: on a CPU that `require_int8` accepts. Afterwards it can neither be trained nor saved.
    """
    _quantise_blocks(encoder.layers, rotary=encoder.config.positions == "rotary")


def quantise_translator(model: Seq2Seq) -> None:
    """Replace the linear layers of a translator's blocks, and compute its logits in 8 bits, in place.

    The embedding table stays in fp32, also where it is the output layer's matrix: that has a copy in 8 bits
    more, V·C bytes.

    Args:
        model: on a CPU that `require_int8` accepts. Afterwards it can neither be trained nor saved.
    """
    quantise(model.encoder)
    _quantise_blocks(model.decoder.layers, rotary=model.decoder.config.positions == "rotary")
    output = model.output
    output.quantised = Int8Linear(output.matrix(model.target_table.weight), output.bias)


def _quantise_blocks(blocks: nn.ModuleList, *, rotary: bool) -> None:
    for module in list(blocks.modules()):
        for name, child in list(module.named_children()):
            if not isinstance(child, nn.Linear):
                continue
            weight, bias = child.weight.detach(), None if child.bias is None else child.bias.detach()
            if rotary and name == "Wqkv" and isinstance(module, Attention):
                # `rotary_qkv` wants this order; it cannot reorder packed weights itself.
                weight = interleave_halves(weight, module.n_heads)
                bias = None if bias is None else interleave_halves(bias, module.n_heads)
            setattr(module, name, Int8Linear(weight, bias))
