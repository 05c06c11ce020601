"""A translator as Hugging Face's MarianMTModel: its settings and its weights.

Marian has the waves of its sinusoidal positions in another order, all sines first. The order of coordinates
of the residual stream is free, so all weights that read or write it are permuted alike. `<pad>` becomes the
last row of the vocabulary: zeros, which the decoder starts from, and a bias that keeps it out of the softmax.

Shapes: C d_model, V vocabulary without `<pad>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xformer.errors import InputError
from xformer.model.config import ModelConfig
from xformer.model.positions import sinusoidal
from xformer.model.seq2seq import Seq2Seq

_NEEDED: dict[str, Any] = {
    "positions": "sinusoidal",
    "n_segments": 0,
    "bigrams": 0,
    "embedding_norm": False,
    "norm": "layernorm",
    "norm_position": "post",
    "norm_eps": 1e-5,
    "final_norm": False,
    "activation": "gelu",
    "gelu": "erf",
    "bias": True,
    "tie_embeddings": True,
}
_NEVER = -1e9
"""Bias of `<pad>`, and of what is never generated."""


def require_marian(model: Seq2Seq) -> None:
    """Check that MarianMTModel can hold a translator.

    Raises:
        InputError: it cannot; the message names the first setting that does not fit.
    """
    config = model.config
    for half, its in (("encoder", config.encoder), ("decoder", config.decoder)):
        for name, value in _NEEDED.items():
            if (got := getattr(its, name)) != value:
                raise InputError(f"{half}.{name}: Marian needs {value!r}, got {got!r}")
        if not all(its.is_global(layer) for layer in range(its.n_layers)):
            raise InputError(f"{half}.window: Marian has global attention only, got {its.window}")
    if config.encoder.scale_embeddings != config.decoder.scale_embeddings:
        raise InputError("decoder.scale_embeddings: Marian needs the encoder's")
    if not config.share_embeddings:
        raise InputError("seq2seq.share_embeddings: expected True, got False")
    if config.start != "zero":
        raise InputError(f"seq2seq.start: Marian needs 'zero', got {config.start!r}")


def marian_config(model: Seq2Seq, max_length: int) -> dict[str, Any]:
    """The fields of `config.json`.

    Args:
        model: that `require_marian` accepts.
        max_length: longest source and target, in tokens.
    """
    ours, pad = model.config, model.config.encoder.rows

    def half(name: str, config: ModelConfig) -> dict[str, Any]:
        return {
            f"{name}_layers": config.n_layers,
            f"{name}_attention_heads": config.n_heads,
            f"{name}_ffn_dim": config.d_ff,
        }

    return {
        "model_type": "marian",
        "architectures": ["MarianMTModel"],
        "vocab_size": pad + 1,
        "decoder_vocab_size": pad + 1,
        "d_model": ours.encoder.d_model,
        **half("encoder", ours.encoder),
        **half("decoder", ours.decoder),
        "num_hidden_layers": ours.encoder.n_layers,
        "max_position_embeddings": max_length,
        "activation_function": "gelu",
        "scale_embedding": ours.encoder.scale_embeddings,
        "static_position_embeddings": True,
        "share_encoder_decoder_embeddings": True,
        "normalize_before": False,
        "normalize_embedding": False,
        "add_final_layer_norm": False,
        "dropout": ours.decoder.dropout,
        "attention_dropout": ours.decoder.attention_dropout,
        "activation_dropout": 0.0,
        "init_std": ours.encoder.init_std,
        "pad_token_id": pad,
        "decoder_start_token_id": pad,
        "eos_token_id": model.end_id,
        "forced_eos_token_id": None,
        "bos_token_id": None,
        "bad_words_ids": [[pad]],
        "tie_word_embeddings": True,
    }


def marian_generation(model: Seq2Seq, max_length: int, beam: int = 4) -> dict[str, Any]:
    """The fields of `generation_config.json`, for the search that `GenerationOptions` has by default.

    `generate` divides log probabilities by a power of the length, the end included, as we do.

    Args:
        model: that `require_marian` accepts.
        max_length: longest target in tokens, the start and the end among them.
        beam: width.
    """
    pad = model.config.encoder.rows
    return {
        "num_beams": beam,
        "do_sample": False,
        "length_penalty": 1.0,
        "early_stopping": True,
        "max_length": max_length,
        "pad_token_id": pad,
        "decoder_start_token_id": pad,
        "eos_token_id": model.end_id,
        "forced_eos_token_id": None,
    }


@torch.no_grad()
def marian_weights(model: Seq2Seq, max_length: int, never: Sequence[int] = ()) -> dict[str, Tensor]:
    """The weights, by Hugging Face's names.

    Args:
        model: that `require_marian` accepts.
        max_length: rows of the position tables.
        never: ids that are never generated. A bias keeps them out of the softmax in all libraries, where a
            list of them would be each library's own, and after the softmax.
    """
    width = model.config.encoder.d_model
    order = torch.cat((torch.arange(0, width, 2), torch.arange(1, width, 2)))
    table = nn.functional.pad(model.target_table.weight[:, order], (0, 0, 0, 1))
    bias = table.new_zeros(len(table) - 1) if model.output.bias is None else model.output.bias.clone()
    bias[list(never)] = _NEVER
    waves = sinusoidal(max_length, width)[:, order].to(table.dtype)
    found = {"model.shared.weight": table}
    found["final_logits_bias"] = nn.functional.pad(bias, (0, 1), value=_NEVER)[None]
    for half in ("encoder", "decoder"):
        found[f"model.{half}.embed_positions.weight"] = waves
        for layer, block in enumerate(getattr(model, half).layers):
            its = _block(block, order)
            found |= {f"model.{half}.layers.{layer}.{name}": value for name, value in its.items()}
    return {name: value.detach().clone().contiguous() for name, value in found.items()}


def _block(block: nn.Module, order: Tensor) -> dict[str, Tensor]:
    ours = dict(block.named_parameters())
    found: dict[str, Tensor] = {}

    def reads(theirs: str, weight: Tensor, bias: Tensor) -> None:
        found[f"{theirs}.weight"], found[f"{theirs}.bias"] = weight[:, order], bias

    def writes(theirs: str, name: str) -> None:
        for kind in ("weight", "bias"):
            found[f"{theirs}.{kind}"] = ours[f"{name}.{kind}"][order]

    def attends(theirs: str, name: str, parts: dict[str, tuple[str, ...]]) -> None:
        for matrix, projections in parts.items():
            weights, biases = (
                ours[f"{name}.{matrix}.{kind}"].chunk(len(projections)) for kind in ("weight", "bias")
            )
            for projection, weight, bias in zip(projections, weights, biases, strict=True):
                reads(f"{theirs}.{projection}", weight, bias)
        writes(f"{theirs}.out_proj", f"{name}.Wo")

    attends("self_attn", "attn", {"Wqkv": ("q_proj", "k_proj", "v_proj")})
    writes("self_attn_layer_norm", "attn_norm")
    if "cross_attn.Wq.weight" in ours:
        attends("encoder_attn", "cross_attn", {"Wq": ("q_proj",), "Wkv": ("k_proj", "v_proj")})
        writes("encoder_attn_layer_norm", "cross_norm")
    reads("fc1", ours["mlp.Wi.weight"], ours["mlp.Wi.bias"])
    writes("fc2", "mlp.Wo")
    writes("final_layer_norm", "mlp_norm")
    return found
