"""Arithmetic of what training a model costs: parameters, floating-point operations, memory.

Shapes: T tokens of a batch, N length of one sequence, S hidden tokens, P pairs, C d_model, F d_ff, V
vocabulary, D width of a sentence vector, K pairs of tokens that attend to each other.

**Operations.** A multiplication and an addition are two. Forward, a block costs

    8·C²·T + 2·(g + 1)·C·F·T + 4·C·K        g = 2 where the feed-forward is gated, 1 otherwise

for its projections (queries, keys, values: 6·C²; output: 2·C²), its feed-forward, and its attention (scores
and mixing, 2·C each per pair of tokens). K is the sum of N² over sequences, or, in a local layer of width w,
the number of pairs no further apart than w/2. The masked-LM head costs 2·C²·S + 2·C·V·S, where V is the size
of the sample in a sampled softmax, and the cosines of the alignment 2·D·P². Looking up embeddings, norms,
activations and softmaxes are left out, as is usual (Kaplan et al. 2020, table 1): they read and write far
more than they multiply.

Backward costs twice the forward: each product has two factors, and the gradient of each is another product.
What a kernel computes again because it did not keep it is not counted.

**Memory.** A parameter takes 4 bytes, its gradient 4, AdamW's two moments 8, and in bf16 a copy of the
matrices 2. Activations are what autograd keeps from forward to backward, derived in `activation_bytes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatch
from xformer.runs.config import Pooling

Part = Literal["embedding", "bigrams", "attention", "feed-forward", "masked-LM head", "norms and the rest"]


def parameter_counts(config: ModelConfig, pooling: Pooling) -> dict[Part, int]:
    """Parameters of a `MultilingualModel` by part; the sum is the number of all parameters.

    Args:
        config: the architecture.
        pooling: how a sequence becomes one vector.
    """
    with torch.device("meta"):  # no memory
        model = MultilingualModel(config, pooling)
    counts: dict[Part, int] = dict.fromkeys(get_args(Part), 0)
    for name, parameter in model.named_parameters():
        counts[_part_of(name)] += parameter.numel()
    return counts


def _part_of(name: str) -> Part:
    """The part that a parameter of this name belongs to."""
    if name.startswith("masked_lm."):
        return "masked-LM head"
    if ".bigram_embeddings." in name:
        return "bigrams"
    if "_embeddings." in name:
        return "embedding"
    return "attention" if ".attn.W" in name else "feed-forward" if ".mlp.W" in name else "norms and the rest"


def attended_pairs(length: int, window: int | None) -> int:
    """Pairs of a query and a key in one sequence that attention joins.

    Args:
        length: of the sequence, in tokens.
        window: total width of local attention, in tokens; None for the whole sequence.
    """
    half = length if window is None else window // 2
    if half >= length:
        return length * length
    # A query sees `half` keys on either side, except those before or past the ends of the sequence.
    return length * (2 * half + 1) - half * (half + 1)


@dataclass(frozen=True)
class Pass:
    """What the cost of one objective depends on: a packed batch through the model, and a loss.

    Attributes:
        lengths: of the sequences, in tokens; joined pairs are one sequence.
        selected: number of hidden tokens, S.
        sampled: size of the sample in a sampled softmax; None for the whole vocabulary.
        pairs: number of translation pairs that are told apart, P.
        n_layers: number of blocks that are run; None for all.
    """

    lengths: tuple[int, ...]
    selected: int = 0
    sampled: int | None = None
    pairs: int = 0
    n_layers: int | None = None

    def forward_flops(self, config: ModelConfig) -> int:
        """Operations of the forward pass. With the backward pass they are three times as many."""
        c, outputs, depth = config.d_model, self._outputs(config), self._depth(config)
        block = (8 * c * c + 2 * ((2 if config.gated else 1) + 1) * c * config.d_ff) * sum(self.lengths)
        far, near = (sum(attended_pairs(n, window) for n in self.lengths) for window in (None, config.window))
        attended = sum(far if config.is_global(layer) else near for layer in range(depth))
        head = (2 * c * c * config.head_activation_norm + 2 * c * outputs) * self.selected
        return depth * block + 4 * c * attended + head + 2 * config.pooled_dim * self.pairs**2

    def activation_bytes(self, config: ModelConfig, precision: Literal["fp32", "bf16"]) -> int:
        """Bytes that autograd keeps between forward and backward, without the masks of dropout.

        A token keeps, in fp32, the residual stream where it enters each of the two norms of a block: 2·C.
        In the precision of the products: the input of each of the two projections behind them, queries and
        keys after their rotation, queries, keys and values as they were projected, attention's result (8·C
        in all), and what goes into the activation, what comes out, and the same of the gate (4·F gated, 2·F
        otherwise). The first block has no norm in front (-C). Outside the blocks it keeps the embedding's
        result and what pooling or the final norm reads: 2·C. A hidden token keeps 4·C in the head, which
        also keeps the gradient of its (V, C) decoder, computed together with the loss. The alignment keeps
        its P·P cosines, three times, and the D coordinates that are pooled after the final norm.
        """
        c, f, depth = config.d_model, config.d_ff, self._depth(config)
        size = 4 if precision == "fp32" else 2
        inner = 8 * c + (4 if config.gated else 2) * f
        a_token = 4 * 2 * c + depth * (4 * 2 * c + size * inner)
        if depth and config.norm_position == "pre" and config.skip_first_norm and precision == "fp32":
            a_token -= 4 * c
        if self.pairs and config.final_norm and config.pool_after_norm:
            a_token += 4 * config.pooled_dim
        head = size * (4 * c * self.selected + self._outputs(config) * c) if self.selected else 0
        return a_token * sum(self.lengths) + head + 3 * 4 * self.pairs * self.pairs

    def _depth(self, config: ModelConfig) -> int:
        return config.n_layers if self.n_layers is None else self.n_layers

    def _outputs(self, config: ModelConfig) -> int:
        """Number of logits per hidden token."""
        return config.rows if self.sampled is None else self.sampled


def passes_of(batch: StepBatch, n_layers: int | None = None) -> tuple[Pass, ...]:
    """The passes of a step. What autograd keeps of them is in memory together.

    Args:
        batch: what one process computes.
        n_layers: number of blocks that are run; the alignment before the blocks runs none.
    """
    passes = [
        Pass(
            part.inputs.lengths,
            selected=len(part.selected),
            sampled=None if part.sample is None else len(part.sample.ids),
            n_layers=n_layers,
        )
        for part in batch.masked.values()
    ]
    for name, pairs in batch.pairs.items():
        # Pairs that go through the blocks are aligned before the blocks as well.
        for depth in (n_layers, 0) if name == "alignment" else (0,):
            # A process has the rows of its own p pairs: p times P cosines.
            seen = round((len(pairs.group) * len(pairs.group_of_all)) ** 0.5)
            passes.append(Pass(pairs.inputs.lengths, pairs=seen, n_layers=depth))
    return tuple(passes)


def weight_bytes(parameters: int, precision: Literal["fp32", "bf16"], by_row: int = 0) -> dict[str, int]:
    """Bytes that the parameters take while one process trains them, by use.

    Args:
        parameters: their number.
        by_row: number of those trained with row-wise AdaGrad. Their gradients and optimizer state are so
            small beside the weights that they are left out.
        precision: of the products; in `bf16`, a copy of the matrices is kept during a step.
    """
    with_adam = parameters - by_row
    uses = {"weights": 4 * parameters, "gradients": 4 * with_adam, "optimizer": 8 * with_adam}
    return uses | ({"bf16 copies": 2 * with_adam} if precision == "bf16" else {})
