"""What a model costs, on paper: parameters, floating-point operations, memory.

Shapes: T tokens of a batch, N length of one sequence, S hidden tokens, P pairs, C d_model, F d_ff, V
vocabulary, K pairs of tokens that attend to each other.

**Operations.** A multiplication and an addition are two. Forward, a block costs

    8·C²·T + 2·(g + 1)·C·F·T + 4·C·K        g = 2 where the feed-forward is gated, 1 otherwise

for its projections (queries, keys, values: 6·C²; output: 2·C²), its feed-forward, and its attention (scores
and mixing, 2·C each a pair of tokens). K is the sum of N² over sequences, or, in a local layer of width w,
of the pairs no further apart than w/2. The masked-LM head costs 2·C²·S + 2·C·V·S, with the size of
the sample for V in a sampled softmax, and the cosines of the alignment 2·D·P². Looking up embeddings, norms,
activations and softmaxes are left out, as is usual (Kaplan et al. 2020, table 1): they read and write far
more than they multiply.

Backward costs twice the forward: each product has two factors, and the gradient of each is one product more.
That is useful work: what a kernel computes a second time because it did not keep it is not counted.

**Memory.** A parameter takes 4 bytes, its gradient 4, AdamW's two moments 8, and in bf16 a copy of the
matrices 2. Activations are what autograd keeps from forward to backward, derived beside `activation_bytes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xformer.model.config import ModelConfig
from xformer.pretraining.batches import StepBatch
from xformer.runs.config import Pooling

Part = Literal["embedding", "bigrams", "attention", "feed-forward", "masked-LM head", "norms and the rest"]


def parameter_counts(config: ModelConfig, pooling: Pooling) -> dict[Part, int]:
    """Parameters of a `MultilingualModel` by part; together they are all of them.

    Args:
        config: the architecture.
        pooling: how a sequence becomes one vector.
    """
    c, f, v, layers = config.d_model, config.d_ff, config.vocab_size, config.n_layers
    bias = int(config.bias)
    norm = c * (2 if config.bias and config.norm == "layernorm" else 1)
    wide = f * (2 if config.gated else 1)
    head = config.head_activation_norm * (c * c + bias * c + norm)
    head += (not config.tie_embeddings) * v * c + config.decoder_bias * v
    embedding = v * c + config.n_segments * c
    if config.positions == "learned":
        embedding += (config.max_length + config.position_offset) * c
    skipped = config.norm_position == "pre" and config.skip_first_norm and layers > 0
    norms = 2 * layers - skipped + config.embedding_norm + config.final_norm
    rest = norm * norms + (config.d_sentence if pooling == "weighted" else 0)
    if config.positions == "t5":
        rest += config.t5_buckets * config.n_heads
    return {
        "embedding": embedding,
        "bigrams": config.bigram_rows * c,
        "attention": layers * (4 * c * c + bias * 4 * c),
        "feed-forward": layers * (c * wide + f * c + bias * (wide + c)),
        "masked-LM head": head,
        "norms and the rest": rest,
    }


def attended_pairs(lengths: Sequence[int], window: int | None) -> int:
    """Pairs of a query and a key that attention joins, K.

    Args:
        lengths: of the sequences, in tokens.
        window: total width of local attention, in tokens; None for the whole sequence.
    """
    return sum(_pairs(length, window) for length in lengths)


def _pairs(length: int, window: int | None) -> int:
    half = length if window is None else window // 2
    if half >= length:
        return length * length
    # A query sees `half` keys to either side, but for those that would lie before or past the sequence.
    return length * (2 * half + 1) - half * (half + 1)


def encoder_flops(config: ModelConfig, lengths: Sequence[int], n_layers: int | None = None) -> int:
    """Forward operations of the blocks on a packed batch.

    Args:
        config: the architecture.
        lengths: of the sequences, in tokens.
        n_layers: how many blocks are run; None for all.
    """
    c, f, tokens = config.d_model, config.d_ff, sum(lengths)
    block = (8 * c * c + 2 * ((2 if config.gated else 1) + 1) * c * f) * tokens
    depth = config.n_layers if n_layers is None else n_layers
    far, near = attended_pairs(lengths, None), attended_pairs(lengths, config.window)
    pairs = sum(far if config.is_global(layer) else near for layer in range(depth))
    return depth * block + 4 * c * pairs


def masked_lm_flops(config: ModelConfig, selected: int, sampled: int | None = None) -> int:
    """Forward operations of the masked-LM head.

    Args:
        config: the architecture.
        selected: hidden tokens, S.
        sampled: size of the sample in a sampled softmax; None for the whole vocabulary, V.
    """
    c, outputs = config.d_model, config.vocab_size if sampled is None else sampled
    return (2 * c * c * config.head_activation_norm + 2 * c * outputs) * selected


def alignment_flops(config: ModelConfig, pairs: int) -> int:
    """Forward operations of the cosines of `pairs` translation pairs, P, each with each."""
    return 2 * config.d_sentence * pairs * pairs


@dataclass(frozen=True)
class Pass:
    """What the cost of one objective depends on: a packed batch through the model, and a loss.

    Attributes:
        lengths: of the sequences, in tokens; joined pairs are one sequence.
        selected: hidden tokens, S.
        sampled: size of the sample in a sampled softmax; None for the whole vocabulary.
        pairs: translation pairs that are told apart, P.
        n_layers: how many blocks are run; None for all.
    """

    lengths: tuple[int, ...]
    selected: int = 0
    sampled: int | None = None
    pairs: int = 0
    n_layers: int | None = None

    def forward_flops(self, config: ModelConfig) -> int:
        """Operations of the forward pass; with the backward pass they are three times as many."""
        blocks = encoder_flops(config, self.lengths, self.n_layers)
        head = masked_lm_flops(config, self.selected, self.sampled)
        return blocks + head + alignment_flops(config, self.pairs)

    def activation_bytes(self, config: ModelConfig, precision: Literal["fp32", "bf16"]) -> int:
        """What autograd keeps between forward and backward, in bytes; dropout, which keeps masks, aside.

        A token keeps, in fp32, the residual stream where it enters each of the two norms of a block: 2·C.
        In the precision of the products: the input of each of the two projections behind them, queries and
        keys after their rotation, queries, keys and values as they were projected, attention's result (8·C
        in all), and what goes into the activation, what comes out, and the same of the gate (4·F gated, 2·F
        otherwise). The first block has no norm in front (-C). Outside the blocks it keeps the embedding's
        result and what pooling or the final norm reads: 2·C. A hidden token keeps 4·C in the head, which
        also keeps the gradient of its (V, C) decoder, worked out together with the loss. The alignment keeps
        its P·P cosines, three times.
        """
        c, f, tokens = config.d_model, config.d_ff, sum(self.lengths)
        size = 4 if precision == "fp32" else 2
        depth = config.n_layers if self.n_layers is None else self.n_layers
        inner = 8 * c + (4 if config.gated else 2) * f
        a_token = 4 * 2 * c + depth * (4 * 2 * c + size * inner)
        if depth and config.norm_position == "pre" and config.skip_first_norm and precision == "fp32":
            a_token -= 4 * c
        outputs = config.vocab_size if self.sampled is None else self.sampled
        head = size * (4 * c * self.selected + outputs * c) if self.selected else 0
        return a_token * tokens + head + 3 * 4 * self.pairs * self.pairs


def passes_of(batch: StepBatch, n_layers: int | None = None) -> tuple[Pass, ...]:
    """The passes of a step; what autograd keeps of them is in memory together.

    Args:
        batch: what a process computes.
        n_layers: how many blocks are run, but for the alignment of the bag, which runs none.
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
        # Pairs that go through the blocks are aligned before them as well.
        for depth in (n_layers, 0) if name == "alignment" else (0,):
            # Of P pairs, a process has the rows of its own p: p times P cosines.
            seen = round((len(pairs.group) * len(pairs.group_of_all)) ** 0.5)
            passes.append(Pass(pairs.inputs.lengths, pairs=seen, n_layers=depth))
    return tuple(passes)


def weight_bytes(parameters: int, precision: Literal["fp32", "bf16"], by_row: int = 0) -> dict[str, int]:
    """What the parameters take while one process trains them, in bytes, by what for.

    Args:
        parameters: how many.
        by_row: how many of them are trained with row-wise AdaGrad, whose gradients and memory of the past
            are so small beside the weights that they are left out.
        precision: of the products; `bf16` keeps a copy of the matrices in it during a step.
    """
    with_adam = parameters - by_row
    kinds = {"weights": 4 * parameters, "gradients": 4 * with_adam, "optimizer": 8 * with_adam}
    return kinds | ({"bf16 copies": 2 * with_adam} if precision == "bf16" else {})
