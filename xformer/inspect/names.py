"""Names of activations: what a trace records, and what an intervention changes.

Shapes: n tokens of a text, H heads, D head size, C d_model, F d_ff, V vocabulary, W width of a sentence's
vector.

    embeddings              (n, C)      the residual stream before the first block
    layers.3.resid_pre      (n, C)      the residual stream before block 3
    layers.3.attn.in        (n, C)      what attention reads
    layers.3.attn.q         (n, H, D)   queries, positions applied; .k and .v: keys and values
    layers.3.attn.lse       (n, H)      log-sum-exp of each row's scores
    layers.3.attn.weights   (H, n, n)   attention weights, rows are queries; computed from q, k and lse
    layers.3.attn.heads     (n, H, D)   outputs of the heads
    layers.3.attn.out       (n, C)      what attention adds to the stream
    layers.3.resid_mid      (n, C)      the residual stream between attention and feed-forward
    layers.3.mlp.in         (n, C)      what the feed-forward reads
    layers.3.mlp.act        (n, F)      its activations
    layers.3.mlp.out        (n, C)      what it adds to the stream
    layers.3.resid_post     (n, C)      the residual stream after block 3
    final                   (n, C)      after the final norm
    logits                  (n, V)      of the masked LM
    sentence                (W,)        the text's vector

In post-norm models (BERT, XLM-R) the residual stream is normalised where a part's output is added, so
`resid_mid` and `resid_post` are after the norm, and a part reads the stream as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.storage.suggest import did_you_mean

_TOKEN, _HEADS = ("token", "dim"), ("token", "head", "dim")
_IN_A_LAYER = {
    "resid_pre": _TOKEN,
    "attn.in": _TOKEN,
    "attn.q": _HEADS,
    "attn.k": _HEADS,
    "attn.v": _HEADS,
    "attn.lse": ("token", "head"),
    "attn.weights": ("head", "query", "key"),
    "attn.heads": _HEADS,
    "attn.out": _TOKEN,
    "resid_mid": _TOKEN,
    "mlp.in": _TOKEN,
    "mlp.act": _TOKEN,
    "mlp.out": _TOKEN,
    "resid_post": _TOKEN,
}
"""The axes of each activation of a layer, of one text."""

_OUTSIDE = {"embeddings": _TOKEN, "final": _TOKEN, "logits": _TOKEN, "sentence": ("dim",)}

DEFAULT_KEEP = (
    "embeddings", "layers.*.resid_*", "layers.*.attn.*", "layers.*.mlp.in", "layers.*.mlp.out", "final",
    "sentence",
)  # fmt: skip
"""What a trace keeps unless told: all but the feed-forward's activations and the logits, which are large."""

READ_ONLY = {
    "attn.lse": "it follows from attn.q and attn.k; change these, or attn.weights",
    "logits": "they follow from final",
    "sentence": "it follows from the residual stream",
}
"""Activations that no intervention can change, and what to change in their place."""


def layer_name(layer: int, part: str) -> str:
    """The full name of a layer's activation, such as `layers.3.attn.q`."""
    return f"layers.{layer}.{part}"


def part_of(name: str) -> str:
    """The name without its layer: `attn.q` for `layers.3.attn.q`; others as they are."""
    return name.split(".", 2)[2] if name.startswith("layers.") else name


def layer_of(name: str) -> int | None:
    """The layer of an activation, from 0; None for those outside the layers."""
    return int(name.split(".", 2)[1]) if name.startswith("layers.") else None


def all_names(config: ModelConfig, *, masked_lm: bool = True) -> tuple[str, ...]:
    """Every name that a model of these settings has, in the order in which it computes them."""
    layers = [layer_name(layer, part) for layer in range(config.n_layers) for part in _IN_A_LAYER]
    return ("embeddings", *layers, "final", *["logits"] * masked_lm, "sentence")


def axes_of(name: str) -> tuple[str, ...]:
    """What the axes of an activation of one text are: `token`, `head`, `dim`, `query`, `key`."""
    return (_IN_A_LAYER | _OUTSIDE)[part_of(name)]


def shape_of(name: str, config: ModelConfig) -> tuple[int, ...]:
    """The sizes of an activation of one token: (C,), (H, D), …; of attention weights (H,).

    Args:
        name: of the activation.
        config: of the model.
    """
    heads = (config.n_heads, config.d_head)
    match part_of(name):
        case "attn.q" | "attn.k" | "attn.v" | "attn.heads":
            return heads
        case "attn.lse" | "attn.weights":
            return (config.n_heads,)
        case "mlp.act":
            return (config.d_ff,)
        case "logits":
            return (config.rows,)
        case "sentence":
            return (config.pooled_dim,)
    return (config.d_model,)


def matching(patterns: str | Iterable[str], names: Sequence[str], what: str = "name") -> tuple[str, ...]:
    """The names that one of the patterns fits, in the names' order; `*` fits anything.

    Raises:
        InputError: a pattern fits no name; the message says what there is.
    """
    given: object = patterns
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise InputError(f"{what}: expected the name of an activation, got {patterns!r}")
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise InputError(f"{what}: expected the name of an activation, got {pattern!r}")
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(f"{what}: there is no activation {pattern!r}{_there_is(pattern, names)}")
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))


def _there_is(pattern: str, names: Sequence[str]) -> str:
    layers = sorted({layer for name in names if (layer := layer_of(name)) is not None})
    within = pattern.split(".", 2)
    if within[0] == "layers" and len(within) == 3 and within[1].isdecimal() and int(within[1]) not in layers:
        has = f"{layers[0]} to {layers[-1]}" if layers else "none"
        return f"; layers are numbered from 0, and there are {has}"
    parts = dict.fromkeys(part_of(name) for name in names if layer_of(name) is not None)
    outside = [name for name in names if layer_of(name) is None]
    listed = [*outside[:1], *(f"layers.N.{part}" for part in parts), *outside[1:]]
    return f"{did_you_mean(pattern, names)}; there are {', '.join(listed)}"
