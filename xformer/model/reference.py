"""The reference encoder: padded, plain PyTorch without kernels, as in the papers. It defines what is correct.

It shares only the names of the parameters with `layers.py` and `encoder.py`, so that a test that compares
both can find errors in either.

Shapes: B sequences padded to N tokens, their memories to M tokens, C d_model, H heads, D head size (C = H·D),
F d_ff, V vocabulary, K buckets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from xformer.model.config import ModelConfig

Parameters = Mapping[str, Tensor]


def reference_forward(
    config: ModelConfig,
    parameters: Parameters,
    tokens: Tensor,
    mask: Tensor,
    *,
    n_layers: int | None = None,
    final_norm: bool = True,
) -> Tensor:
    """Encode padded sequences, without dropout.

    Args:
        config: the model's settings.
        parameters: `Encoder.state_dict()`, or `dict(Encoder.named_parameters())` to differentiate by them.
        tokens: (B, N) int64; any token may be at padding.
        mask: (B, N) bool, True at tokens, which come before any padding.
        n_layers: how many blocks to run; None for all.
        final_norm: whether to normalise the output.

    Returns:
        (B, N, C), zero at padding.
    """
    x = _embed(config, parameters, tokens, mask)
    for layer in range(config.n_layers if n_layers is None else n_layers):
        x = reference_block(config, parameters, layer, x, mask)
    if final_norm and config.final_norm:
        x = _norm(config, parameters, "final_norm", x)
    return x.where(mask[..., None], 0.0)


def reference_block(
    config: ModelConfig,
    parameters: Parameters,
    layer: int,
    x: Tensor,
    mask: Tensor,
    *,
    causal: bool = False,
    memory: Tensor | None = None,
    memory_mask: Tensor | None = None,
) -> Tensor:
    """One block on padded sequences, without dropout.

    Args:
        config: the model's settings.
        parameters: those of this block begin with `layers.{layer}.`.
        layer: the block's number.
        x: (B, N, C).
        mask: (B, N) bool, True at tokens.
        causal: no token attends to those after it.
        memory: (B, M, C) for cross-attention; None for a block without.
        memory_mask: (B, M) bool.

    Returns:
        (B, N, C).
    """
    attend = partial(
        _self_attention, config, parameters, layer, visible=_visible(config, layer, mask, causal)
    )
    sublayers = [("attn_norm", partial(attend, causal=causal))]
    if memory is not None and memory_mask is not None:
        seen = mask[:, None, :, None] & memory_mask[:, None, None, :]
        across = partial(_cross_attention, config, parameters, layer, memory=memory, visible=seen)
        sublayers.append(("cross_norm", across))
    sublayers.append(("mlp_norm", partial(_feed_forward, config, parameters, f"layers.{layer}.mlp")))
    for name, sublayer in sublayers:
        norm = partial(_norm, config, parameters, f"layers.{layer}.{name}")
        if config.norm_position == "post":
            x = norm(x + sublayer(x))  # x ← Norm(x + f(x))
        elif layer == 0 and config.skip_first_norm and name == "attn_norm":
            x = x + sublayer(x)
        else:
            x = x + sublayer(norm(x))  # x ← x + f(Norm(x))
    return x


def reference_decoder(
    config: ModelConfig,
    parameters: Parameters,
    tokens: Tensor,
    mask: Tensor,
    memory: Tensor,
    memory_mask: Tensor,
    *,
    blank_start: bool,
) -> Tensor:
    """Decode padded sequences, without dropout.

    Args:
        config: the decoder's settings.
        parameters: of `Decoder`, with a table of tokens among them.
        tokens: (B, N) int64, each sequence beginning with the start.
        mask: (B, N) bool, True at tokens, which come before any padding.
        memory: (B, M, C), the encoder's output.
        memory_mask: (B, M) bool.
        blank_start: the start is the zero vector.

    Returns:
        (B, N, C), zero at padding.
    """
    x = _embed(config, parameters, tokens, mask, blank_first=blank_start)
    for layer in range(config.n_layers):
        x = reference_block(
            config, parameters, layer, x, mask, causal=True, memory=memory, memory_mask=memory_mask
        )
    x = _norm(config, parameters, "final_norm", x) if config.final_norm else x
    return x.where(mask[..., None], 0.0)


def reference_loss(logits: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    """-Σ_v q_v log p_v for each row, q = (1 - e) · [v = target] + e/V.

    Args:
        logits: (T, V).
        targets: (T,) int64.
        label_smoothing: e.
    """
    wanted = torch.full_like(logits, label_smoothing / logits.shape[1])
    wanted = wanted.scatter_add(1, targets[:, None], torch.full_like(wanted[:, :1], 1 - label_smoothing))
    return -(wanted * torch.log(torch.softmax(logits, 1))).sum(1)


def reference_masked_lm(
    config: ModelConfig, parameters: Parameters, hidden: Tensor, embedding: Tensor
) -> Tensor:
    """Logits (…, V) of hidden states (…, C).

    Args:
        config: the model's settings.
        parameters: of `MaskedLMHead`.
        hidden: (…, C), after the final norm.
        embedding: (V, C), the encoder's token embeddings.
    """
    if config.head_activation_norm:
        y = _linear(parameters, "head.dense", hidden)
        y = y.clamp(min=0) if config.activation == "relu" else _gelu(config, y)
        hidden = _norm(config, parameters, "head.norm", y)  # h ← Norm(GELU(W h + b))
    logits = hidden @ (embedding if config.tie_embeddings else parameters["weight"]).T
    return logits + parameters["bias"] if config.decoder_bias else logits


def reference_pooling(hidden: Tensor, mask: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean over each sequence's tokens, weighted by softmax(h·w) if w is given; zero for none.

    Args:
        hidden: (B, N, C).
        mask: (B, N) bool.
        weight: (C,), or None for equal weights.

    Returns:
        (B, C).
    """
    score = hidden.new_zeros(mask.shape) if weight is None else hidden @ weight  # s_n = h_n · w
    share = _softmax(score, mask)  # a_n = exp(s_n) / Σ_m exp(s_m)
    return (share[..., None] * hidden).sum(dim=1)  # Σ_n a_n h_n


def _embed(
    config: ModelConfig, parameters: Parameters, tokens: Tensor, mask: Tensor, *, blank_first: bool = False
) -> Tensor:
    """E[token] + P[position] + S[0], normalised; + G[pair with the token before] + G[pair with the next].

    With `blank_first`, zero stands for the row of E at position 0.
    """
    table = parameters["embeddings.tok_embeddings.weight"]
    position = torch.arange(tokens.shape[1], device=tokens.device)
    # Not table[tokens], whose gradient a CPU with several threads adds up in any order.
    x = table.index_select(0, tokens.flatten()).unflatten(0, tokens.shape)
    if config.scale_embeddings:
        x = x * math.sqrt(config.d_model)
    if blank_first:
        x = x.where(position[:, None] > 0, 0.0)
    if config.positions == "learned":
        x = x + parameters["embeddings.position_embeddings.weight"][position + config.position_offset]
    if config.positions == "sinusoidal":
        column = torch.arange(config.d_model, device=tokens.device)
        # P[n, 2i] = sin(n / 10000^(2i/C)),  P[n, 2i+1] = cos(n / 10000^(2i/C))
        angle = position[:, None] / 10_000.0 ** ((column - column % 2).to(torch.float64) / config.d_model)
        x = x + torch.where(column % 2 == 0, angle.sin(), angle.cos()).to(x.dtype)
    if config.n_segments:
        x = x + parameters["embeddings.segment_embeddings.weight"][0]
    x = _norm(config, parameters, "embeddings.norm", x) if config.embedding_norm else x
    if config.bigrams:
        pairs = parameters["embeddings.bigram_embeddings.weight"][_bigram_rows(config, tokens)]  # (B, N-1, C)
        whole = (mask[:, 1:] & mask[:, :-1])[..., None].to(x.dtype)
        x = x + F.pad(whole * pairs, (0, 0, 1, 0)) + F.pad(whole * pairs, (0, 0, 0, 1))
    return x


def _bigram_rows(config: ModelConfig, tokens: Tensor) -> Tensor:
    """(B, N-1), the row of each token and the next: of h = a·x + b·y in 64 bits, both halves mixed."""
    rows = [
        [
            1 + (h ^ h >> 32) % 2**31 % (config.bigram_rows - 1)
            for h in ((0x2545F4914F6CDD1D * x + 0x1B873593CC9E2D51 * y) % 2**64 for x, y in pairwise(text))
        ]
        for text in tokens.tolist()
    ]
    return torch.tensor(rows, dtype=torch.int64, device=tokens.device).view(len(tokens), -1)


def _self_attention(
    config: ModelConfig, parameters: Parameters, layer: int, x: Tensor, visible: Tensor, causal: bool
) -> Tensor:
    """Queries, keys and values of one sequence, with positions."""
    name = f"layers.{layer}.attn"
    q, k, v = (_heads(config, part) for part in _linear(parameters, f"{name}.Wqkv", x).chunk(3, dim=-1))
    if config.positions == "rotary":
        base = config.rotary_base if config.is_global(layer) else config.rotary_base_local
        q, k = _rotary(q, base), _rotary(k, base)
    position = torch.arange(x.shape[1], device=x.device)
    distance = position[None, :] - position[:, None]  # key - query
    bias = x.new_zeros(())
    if config.positions == "alibi":
        bias = -_alibi_slopes(config.n_heads).to(x)[:, None, None] * distance.abs()
    if config.positions == "t5":
        bias = parameters["relative_bias.weight"][_t5_bucket(config, distance, causal)].permute(2, 0, 1)
    return _linear(parameters, f"{name}.Wo", _attend(q, k, v, bias, visible))


def _cross_attention(
    config: ModelConfig, parameters: Parameters, layer: int, x: Tensor, memory: Tensor, visible: Tensor
) -> Tensor:
    """Queries of one sequence, keys and values of another, without positions."""
    name = f"layers.{layer}.cross_attn"
    q = _heads(config, _linear(parameters, f"{name}.Wq", x))
    k, v = (_heads(config, part) for part in _linear(parameters, f"{name}.Wkv", memory).chunk(2, dim=-1))
    return _linear(parameters, f"{name}.Wo", _attend(q, k, v, x.new_zeros(()), visible))


def _heads(config: ModelConfig, x: Tensor) -> Tensor:
    """(B, N, C) to (B, H, N, D)."""
    return x.unflatten(-1, (config.n_heads, config.d_head)).transpose(1, 2)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, visible: Tensor) -> Tensor:
    """Softmax(Q Kᵀ / √D + bias) V of each head (B, H, N, D); heads side by side, (B, N, C)."""
    score = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias
    return (_softmax(score, visible) @ v).transpose(1, 2).flatten(2)


def _feed_forward(config: ModelConfig, parameters: Parameters, name: str, x: Tensor) -> Tensor:
    hidden = _linear(parameters, f"{name}.Wi", x)
    value, gate = hidden[..., : config.d_ff], hidden[..., config.d_ff :]
    match config.activation:
        case "geglu":
            hidden = _gelu(config, value) * gate
        case "swiglu":
            hidden = value * torch.sigmoid(value) * gate
        case "gelu":
            hidden = _gelu(config, value)
        case "relu":
            hidden = value.clamp(min=0)
        case "relu2":
            hidden = value.clamp(min=0) ** 2
    return _linear(parameters, f"{name}.Wo", hidden)


def _visible(config: ModelConfig, layer: int, mask: Tensor, causal: bool) -> Tensor:
    """(B, 1, N, N): query n sees key m if both are tokens; local: |n - m| ≤ window/2; causal: m ≤ n."""
    seen = mask[:, None, :, None] & mask[:, None, None, :]
    position = torch.arange(mask.shape[1], device=mask.device)
    behind = position[:, None] - position[None, :]  # n - m
    if causal:
        seen = seen & (behind >= 0)
    if config.window is not None and not config.is_global(layer):
        seen = seen & (behind.abs() <= config.window // 2)
    return seen


def _softmax(score: Tensor, visible: Tensor) -> Tensor:
    """exp(s_m) / Σ exp(s_m) over what is visible; zeros where nothing is."""
    lowest = torch.finfo(score.dtype).min
    score = score.masked_fill(~visible, lowest)
    return torch.softmax(score, dim=-1).masked_fill(~visible, 0.0)


def _norm(config: ModelConfig, parameters: Parameters, name: str, x: Tensor) -> Tensor:
    weight = parameters[f"{name}.weight"]
    if config.norm == "rmsnorm":
        # w x / √(mean x² + ε)
        return weight * x / torch.sqrt((x**2).mean(-1, keepdim=True) + config.norm_eps)
    centred = x - x.mean(-1, keepdim=True)
    # w (x-μ) / √(σ² + ε) + b
    y = weight * centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + config.norm_eps)
    return y + parameters[f"{name}.bias"] if config.bias else y


def _linear(parameters: Parameters, name: str, x: Tensor) -> Tensor:
    """W x + b; b where there is one."""
    y = x @ parameters[f"{name}.weight"].T
    return y + parameters[f"{name}.bias"] if f"{name}.bias" in parameters else y


def _gelu(config: ModelConfig, x: Tensor) -> Tensor:
    """x·Φ(x) (Hendrycks & Gimpel 2016), exactly or by their tanh approximation."""
    if config.gelu == "erf":
        return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    return x * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _rotary(x: Tensor, base: float) -> Tensor:
    """Turn each pair (x_j, x_{j+D/2}) of position n by the angle n · base^(-2j/D)."""
    length, d_head = x.shape[-2:]
    j = torch.arange(d_head // 2, dtype=torch.float64, device=x.device)
    angle = torch.arange(length, device=x.device)[:, None] * base ** (-2 * j / d_head)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    x_1, x_2 = x[..., : d_head // 2], x[..., d_head // 2 :]
    return torch.cat((x_1 * cos - x_2 * sin, x_2 * cos + x_1 * sin), dim=-1)


def _alibi_slopes(n_heads: int) -> Tensor:
    """Slopes 2^(-8h/H), h = 1 … H; between powers of two, filled up from the next power's odd ones."""
    power = 1 << (n_heads.bit_length() - 1)
    slopes = [2 ** (-8 * h / power) for h in range(1, power + 1)]
    finer = [2 ** (-8 * h / (2 * power)) for h in range(1, 2 * power + 1, 2)]
    return torch.tensor(slopes + finer[: n_heads - power], dtype=torch.float64)


def _t5_bucket(config: ModelConfig, distance: Tensor, causal: bool) -> Tensor:
    """Near distances take one bucket each, far ones share by logarithm; keys to the right the upper half.

    If causal, keys to the left take all of them.
    """
    size = config.t5_buckets if causal else config.t5_buckets // 2
    exact = size // 2
    near = (-distance).clamp(min=0) if causal else distance.abs()
    # In float32, as T5 computes it: in float64 some distances on a bucket's edge would change sides.
    ratio = torch.log(near.clamp(min=1).float() / exact) / math.log(config.t5_max_distance / exact)
    far = (exact + (ratio * (size - exact)).long()).clamp(max=size - 1)
    return (distance > 0) * (not causal) * size + torch.where(near < exact, near, far)
