"""The network, written in the operations of any runtime, on padded sequences.

Padding may stand behind the tokens of a sequence or before them, and a sequence may be nothing but padding:
its states and its vector are zero. A score that is not to count is a very low one and not -∞, of which a
softmax over nothing else would be no number.

Shapes: B sequences, N positions, C d_model, H heads, D head size, W coordinates that are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from torch import Tensor

from xformer.interop.network.operations import Operations, Value, Weight
from xformer.interop.network.outputs import Output
from xformer.interop.network.positions import LOWEST, Positions
from xformer.interop.network.spec import Activation, LabelHead, NetworkSpec, array_of
from xformer.model.heads import PoolingKind

_TOKENS = "embeddings.tok_embeddings.weight"
_SMALLEST = 1e-12
"""Of a length that is divided by, as in `F.normalize`; and of a mean square, as in a head's `direction`."""


def forward(
    spec: NetworkSpec, operations: Operations[Value], inputs: dict[str, Value]
) -> dict[Output, Value]:
    """What the network makes of padded sequences.

    Args:
        spec: the network.
        operations: of the runtime.
        inputs: by the names of `spec.inputs`: ids (B, N) int64, and masks (B, N) int64, 1 at tokens.

    Returns:
        By the names of `spec.outputs`: `last_hidden_state` (B, N, C), zero at padding; `sentence_embedding`
        (B, D), zero for no tokens; `logits` and `probabilities` (B, labels), or for words (B, N, labels).
    """
    network = _Network(spec, operations)
    texts = [
        network.encode(inputs[f"input_ids{end}"], inputs[f"attention_mask{end}"])
        for end in ("", "_2")
        if f"input_ids{end}" in spec.inputs
    ]
    found: dict[Output, Value] = {}
    if "last_hidden_state" in spec.outputs:
        found["last_hidden_state"] = network.last(texts[0])
    if "sentence_embedding" in spec.outputs:
        found["sentence_embedding"] = network.vector(texts[0])
    if spec.head is not None and {"logits", "probabilities"} & {*spec.outputs}:
        logits = network.logits(spec.head, texts)
        probabilities = operations.sigmoid if spec.head.multi_label else operations.softmax
        found |= {"logits": logits, "probabilities": probabilities(logits)}
    return {name: found[name] for name in spec.outputs}


@dataclass(frozen=True)
class _Encoded(Generic[Value]):
    """The tokens of B texts, encoded.

    Attributes:
        states: (B, N, C) before the first block and after each.
        mask: (B, N) float, 1 at tokens.
    """

    states: list[Value]
    mask: Value


class _Network(Generic[Value]):
    def __init__(self, spec: NetworkSpec, operations: Operations[Value]) -> None:
        self.spec, self.config, self.op = spec, spec.config, operations

    def encode(self, ids: Value, mask: Value) -> _Encoded[Value]:
        spec, op = self.spec, self.op
        # A mask of other numbers than 0 and 1 has tokens wherever it is not 0.
        tokens = op.greater(op.absolute(mask), op.constant(0, "integer"))
        places = Positions(spec, op, ids, tokens)
        states = [self._embed(ids, places)]
        for layer in range(spec.depth):
            states.append(self._block(layer, states[-1], places))
        return _Encoded(states, op.cast(tokens, "float"))

    def last(self, text: _Encoded[Value]) -> Value:
        """(B, N, C), zero at padding."""
        return self.op.multiply(self._final(text, self.spec.n_layers), self.op.unsqueeze(text.mask, 2))

    def _final(self, text: _Encoded[Value], layer: int) -> Value:
        """The states after some blocks, normalised if the model has a final norm."""
        x = text.states[layer]
        return self._norm("final_norm", x) if self.config.final_norm else x

    def _read(self, text: _Encoded[Value]) -> Value:
        """What vectors and labels are made of."""
        layer = self.spec.vector_layers
        return self._final(text, layer) if self.config.pool_after_norm else text.states[layer]

    def vector(self, text: _Encoded[Value]) -> Value:
        """(B, D), of unit length if the run's are."""
        spec, op = self.spec, self.op
        pooled = self._pool(text, self.config.pooled_dim, spec.pooling, spec.pooling_weight, "pooling.weight")
        if not spec.normalise:
            return pooled
        length = op.square_root(op.total(op.multiply(pooled, pooled)))
        return op.divide(pooled, op.maximum(length, op.constant(_SMALLEST)))

    def logits(self, head: LabelHead, texts: list[_Encoded[Value]]) -> Value:
        """Of each text, pair or token."""
        op = self.op
        if head.example == "words":
            parts = [op.cut(self._read(texts[0]), 0, head.width)]
        else:
            parts = [
                self._pool(one, head.width, head.pooling, head.pooling_weight, "head.pooling.weight")
                for one in texts
            ]
        if head.directions:
            parts = [self._direction(one) for one in parts]
        if head.example == "pair":
            u, v = parts
            parts = [u, v, op.absolute(op.subtract(u, v)), op.multiply(u, v)]
        x = op.join(parts) if len(parts) > 1 else parts[0]
        if head.dense is not None:
            x = self._activated(head.activation, self._head_linear("head.dense", x, *head.dense))
        if head.norm is not None:
            x = self._normed("head.norm", x, *head.norm)
        return self._head_linear("head.out", x, *head.out)

    def _activated(self, activation: Activation, x: Value) -> Value:
        match activation:
            case "gelu":
                return self.op.gelu(x, "none")
            case "gelu_tanh":
                return self.op.gelu(x, "tanh")
            case "tanh":
                return self.op.tanh(x)
            case "relu":
                return self.op.relu(x)
            case "identity":
                return x

    def _head_linear(self, name: str, x: Value, weight: Tensor, bias: Tensor | None) -> Value:
        """A linear layer of a head, which is small, and whose rounding would be seen at once."""
        op = self.op
        product = op.matmul(x, op.weight(f"{name}.weight", array_of(weight).T))
        return product if bias is None else op.add(product, op.weight(f"{name}.bias", array_of(bias)))

    def _pool(
        self, text: _Encoded[Value], width: int, kind: PoolingKind, weight: Tensor | None, name: str
    ) -> Value:
        """(B, W): the mean, the first token, or the mean by softmax(h·w); zero for no tokens."""
        op, mask = self.op, text.mask
        states = op.cut(self._read(text), 0, width)
        if kind == "first":
            count = op.running_total(op.cast(mask, "integer"))
            first = op.greater(op.constant(2, "integer"), count)
            share = op.multiply(mask, op.cast(first, "float"))
        elif weight is not None:
            score = op.matmul(states, op.weight(name, array_of(weight)[:, None]))  # (B, N, 1)
            tokens = op.greater(op.unsqueeze(mask, 1), op.constant(0.5))
            seen = op.where(tokens, op.transpose(score, 0, 2, 1), op.constant(LOWEST))
            return op.squeeze(op.matmul(op.multiply(op.softmax(seen), op.unsqueeze(mask, 1)), states), 1)
        else:
            share = op.divide(mask, op.maximum(op.total(mask), op.constant(1.0)))
        return op.squeeze(op.matmul(op.unsqueeze(share, 1), states), 1)

    def _direction(self, x: Value) -> Value:
        """Vectors with root mean square 1; zero stays zero."""
        op = self.op
        square = op.add(op.mean(op.multiply(x, x)), op.constant(_SMALLEST))
        return op.divide(x, op.square_root(square))

    def _embed(self, ids: Value, places: Positions[Value]) -> Value:
        spec, config, op = self.spec, self.config, self.op
        x = op.embed(_TOKENS, self._array(_TOKENS), ids)
        if config.scale_embeddings:
            x = op.multiply(x, op.constant(config.d_model**0.5))
        if (vectors := places.vectors()) is not None:
            x = op.add(x, vectors)
        if config.n_segments:
            name = "embeddings.segment_embeddings.weight"
            x = op.add(x, op.weight(name, array_of(spec.encoder[name])[0]))
        x = self._norm("embeddings.norm", x) if config.embedding_norm else x
        if config.bigrams:
            name = "embeddings.bigram_embeddings.weight"
            before = op.embed(name, self._array(name), places.bigram_rows(config.bigram_rows))
            x = op.add(x, op.add(before, op.shift(before, -1)))
        return x

    def _block(self, layer: int, x: Value, places: Positions[Value]) -> Value:
        config, op = self.config, self.op
        for name, part in (("attn_norm", self._attention), ("mlp_norm", self._feed_forward)):
            full = f"layers.{layer}.{name}"
            if config.norm_position == "post":
                x = self._norm(full, op.add(x, part(layer, x, places)))
            elif layer == 0 and config.skip_first_norm and name == "attn_norm":
                x = op.add(x, part(layer, x, places))
            else:
                x = op.add(x, part(layer, self._norm(full, x), places))
        return x

    def _attention(self, layer: int, x: Value, places: Positions[Value]) -> Value:
        config, op, name = self.config, self.op, f"layers.{layer}.attn"
        width = config.d_model
        q, k, v = (
            op.split_heads(
                self._linear(f"{name}.Wqkv", x, n * width, (n + 1) * width), config.n_heads, config.d_head
            )
            for n in range(3)
        )
        q, k = (places.turn(one, layer) for one in (q, k))
        score = op.matmul(q, op.transpose(k, 0, 1, 3, 2))
        score = op.multiply(score, op.constant(config.d_head**-0.5))
        share = op.softmax(op.add(score, places.bias(layer)))
        return self._linear(f"{name}.Wo", op.join_heads(op.matmul(share, v), width))

    def _feed_forward(self, layer: int, x: Value, places: Positions[Value]) -> Value:
        config, op, name = self.config, self.op, f"layers.{layer}.mlp"
        hidden = self._linear(f"{name}.Wi", x, 0, config.d_ff)
        gate = self._linear(f"{name}.Wi", x, config.d_ff, 2 * config.d_ff) if config.gated else None
        match config.activation:
            case "geglu" | "gelu":
                hidden = op.gelu(hidden, config.gelu_approximate)
            case "swiglu":
                hidden = op.multiply(hidden, op.sigmoid(hidden))
            case "relu":
                hidden = op.relu(hidden)
            case "relu2":
                hidden = op.relu(hidden)
                hidden = op.multiply(hidden, hidden)
        return self._linear(f"{name}.Wo", hidden if gate is None else op.multiply(hidden, gate))

    def _linear(self, name: str, x: Value, begin: int = 0, end: int | None = None) -> Value:
        """A linear layer, or some of its outputs: products apart cost less than cutting their result."""
        bias = self.spec.encoder.get(f"{name}.bias")
        weight = self._array(f"{name}.weight")[begin:end]
        part = f"{name}.{begin}" if end is not None else name
        return self.op.linear(part, x, weight, None if bias is None else array_of(bias)[begin:end])

    def _norm(self, name: str, x: Value) -> Value:
        weights = self.spec.encoder
        return self._normed(name, x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    def _normed(self, name: str, x: Value, weight: Tensor, bias: Tensor | None) -> Value:
        config, op = self.config, self.op
        scale = op.weight(f"{name}.weight", array_of(weight))
        if config.norm == "rmsnorm":
            square = op.add(op.mean(op.multiply(x, x)), op.constant(config.norm_eps))
            return op.multiply(op.divide(x, op.square_root(square)), scale)
        shift = None if bias is None else op.weight(f"{name}.bias", array_of(bias))
        return op.layer_norm(x, scale, shift, config.norm_eps)

    def _array(self, name: str) -> Weight:
        return array_of(self.spec.encoder[name])
