"""A model for inference whose matrix products are computed in 8-bit integers.

Quantised are the four products of each block, which take most of the time. Embeddings, norms, attention's
scores and sums, pooling and the masked-LM head stay as they are.
"""

from __future__ import annotations

from torch import nn

from xformer.model.cpu import interleave_halves
from xformer.model.encoder import Encoder
from xformer.model.int8_linear import Int8Linear
from xformer.model.layers import Attention


def quantise(encoder: Encoder) -> None:
    """Replace the linear layers of each block, in place; the fp32 weights are given up.

    Args:
        encoder: on a CPU that `require_int8` accepts. Afterwards it can neither be trained nor saved.
    """
    rotary = encoder.config.positions == "rotary"
    for module in list(encoder.layers.modules()):
        for name, child in list(module.named_children()):
            if not isinstance(child, nn.Linear):
                continue
            weight, bias = child.weight.detach(), None if child.bias is None else child.bias.detach()
            if rotary and name == "Wqkv" and isinstance(module, Attention):
                # `rotary_qkv` wants this order; it cannot reorder packed weights itself.
                weight = interleave_halves(weight, module.n_heads)
                bias = None if bias is None else interleave_halves(bias, module.n_heads)
            setattr(module, name, Int8Linear(weight, bias))
