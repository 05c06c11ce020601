"""Conversion of settings between `ModelConfig` and the `config.json` of ModernBERT, BERT and XLM-R."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xformer.errors import InputError
from xformer.model.config import Gelu, ModelConfig
from xformer.model.families import family_of

_SIZES = {
    "vocab_size": "vocab_size",
    "d_model": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "d_ff": "intermediate_size",
}
"""Names of sizes in `ModelConfig` and in `config.json`."""

# The ids of our special tokens are fixed.
_SPECIAL_IDS = {
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "cls_token_id": 0,
    "sep_token_id": 2,
    "mask_token_id": 4,
}


def config_to_huggingface(config: ModelConfig) -> dict[str, Any]:
    """The fields of `config.json`, with our special token ids.

    Raises:
        InputError: no architecture of Hugging Face fits; the message names the setting.
    """
    family = family_of(config)
    gelu = "gelu" if config.gelu == "erf" else "gelu_pytorch_tanh"
    fields: dict[str, Any] = {
        "model_type": family,
        **{theirs: getattr(config, ours) for ours, theirs in _SIZES.items()},
        "initializer_range": config.init_std,
        "tie_word_embeddings": config.tie_embeddings,
        **_SPECIAL_IDS,
        # A field of our own: transformers keeps fields that it does not know.
        **({"pooled_dim_fraction": config.pooled_dim_fraction} if config.pooled_dim_fraction < 1 else {}),
    }
    if family != "modernbert":
        if family == "xlm-roberta":
            fields["pad_token_id"] = config.position_offset - 1
        return fields | {
            "architectures": ["BertForMaskedLM" if family == "bert" else "XLMRobertaForMaskedLM"],
            "hidden_act": gelu,
            "hidden_dropout_prob": config.dropout,
            "attention_probs_dropout_prob": config.attention_dropout,
            "max_position_embeddings": config.max_length + config.position_offset,
            "type_vocab_size": config.n_segments,
            "layer_norm_eps": config.norm_eps,
        }
    kinds = [config.is_global(layer) for layer in range(config.n_layers)]
    return fields | {
        "architectures": ["ModernBertForMaskedLM"],
        "hidden_activation": gelu if config.activation == "geglu" else "silu",
        "classifier_activation": gelu,
        "max_position_embeddings": config.max_length,
        "norm_eps": config.norm_eps,
        **{f"{part}_bias": config.bias for part in ("norm", "attention", "mlp", "classifier")},
        "decoder_bias": config.decoder_bias,
        "embedding_dropout": config.dropout,
        "mlp_dropout": config.dropout,
        "attention_dropout": config.attention_dropout,
        "local_attention": 128 if config.window is None else config.window,
        "layer_types": ["full_attention" if full else "sliding_attention" for full in kinds],
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": config.rotary_base},
            "sliding_attention": {"rope_type": "default", "rope_theta": config.rotary_base_local},
        },
        # The same in the names of transformers 4.
        "global_attn_every_n_layers": 1 if config.window is None else config.global_every,
        "global_rope_theta": config.rotary_base,
        "local_rope_theta": config.rotary_base_local,
    }


def config_from_huggingface(fields: Mapping[str, Any]) -> ModelConfig:
    """The settings of a `config.json` of ModernBERT, BERT or XLM-R.

    ModernBERT's `mlp_dropout`, inside the feed-forward, has no counterpart and is ignored.

    Raises:
        InputError: a field is missing, or has a value that our model does not support; the message names it.
    """
    match _field(fields, "model_type"):
        case "modernbert":
            return _from_modernbert(fields)
        case "bert" | "xlm-roberta" as family:
            return _from_bert(fields, family)
        case other:
            raise InputError(f"model_type: expected 'modernbert', 'bert' or 'xlm-roberta', got {other!r}")


def special_ids(fields: Mapping[str, Any]) -> dict[str, int]:
    """The ids of special tokens that a `config.json` names."""
    found = {name: fields.get(name) for name in _SPECIAL_IDS}
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _from_modernbert(fields: Mapping[str, Any]) -> ModelConfig:
    activation = fields.get("hidden_activation", "gelu")
    bias = bool(fields.get("norm_bias", False))
    for name in ("attention_bias", "mlp_bias", "classifier_bias"):
        if bool(fields.get(name, False)) != bias:
            raise InputError(f"{name}: expected {bias}, as norm_bias, got {fields.get(name, False)}")
    gelu = _gelu(fields, "classifier_activation")
    if activation != "silu" and _gelu(fields, "hidden_activation") != gelu:
        raise InputError(f"classifier_activation: expected {activation!r}, as hidden_activation")
    window, global_every = _layer_pattern(fields)
    return ModelConfig.modernbert(
        **_sizes(fields),
        max_length=_whole(fields, "max_position_embeddings", 8192),
        rotary_base=_rotary_base(fields, "full_attention", fields.get("global_rope_theta", 160_000.0)),
        rotary_base_local=_rotary_base(fields, "sliding_attention", fields.get("local_rope_theta", 10_000.0)),
        norm_eps=_number(fields, "norm_eps", 1e-5),
        activation="swiglu" if activation == "silu" else "geglu",
        gelu=gelu,
        bias=bias,
        window=window,
        global_every=global_every,
        tie_embeddings=bool(fields.get("tie_word_embeddings", True)),
        decoder_bias=bool(fields.get("decoder_bias", True)),
        dropout=_number(fields, "embedding_dropout", 0.0),
        attention_dropout=_number(fields, "attention_dropout", 0.0),
    )


def _from_bert(fields: Mapping[str, Any], family: str) -> ModelConfig:
    for name, expected in {
        "is_decoder": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
        "position_embedding_type": "absolute",
    }.items():
        if fields.get(name, expected) != expected:
            raise InputError(f"{name}: expected {expected!r}, got {fields[name]!r}")
    gelu = _gelu(fields, "hidden_act")
    if family == "xlm-roberta" and gelu != "erf":
        raise InputError(f"hidden_act: expected 'gelu', which XLM-R's head has, got {fields['hidden_act']!r}")
    offset = _whole(fields, "pad_token_id", 1) + 1 if family == "xlm-roberta" else 0
    return ModelConfig.bert(
        **_sizes(fields),
        max_length=_whole(fields, "max_position_embeddings", 512) - offset,
        position_offset=offset,
        n_segments=_whole(fields, "type_vocab_size", 2),
        norm_eps=_number(fields, "layer_norm_eps", 1e-12),
        gelu=gelu,
        dropout=_number(fields, "hidden_dropout_prob", 0.1),
        attention_dropout=_number(fields, "attention_probs_dropout_prob", 0.1),
    )


def _sizes(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{ours: _whole(fields, theirs) for ours, theirs in _SIZES.items()},
        "init_std": _number(fields, "initializer_range", 0.02),
        # Version 0.1 called it `sentence_share`.
        "pooled_dim_fraction": _number(fields, "pooled_dim_fraction", _number(fields, "sentence_share", 1.0)),
    }


def _whole(fields: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = _field(fields, name) if default is None else fields.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{name}: expected a whole number, got {value!r}")
    return value


def _number(fields: Mapping[str, Any], name: str, default: float) -> float:
    value = fields.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InputError(f"{name}: expected a number, got {value!r}")
    return float(value)


def _rotary_base(fields: Mapping[str, Any], kind: str, default: float) -> float:
    """The base of one kind of layer; `default` is the value in the fields of transformers 4."""
    rope = (fields.get("rope_parameters") or {}).get(kind) or {}
    if rope.get("rope_type", "default") != "default":
        raise InputError(f"rope_parameters.{kind}.rope_type: expected 'default', got {rope['rope_type']!r}")
    return float(rope.get("rope_theta", default))


def _layer_pattern(fields: Mapping[str, Any]) -> tuple[int | None, int]:
    """`window` and `global_every`."""
    window = _whole(fields, "local_attention", 128)
    if window < 2:
        raise InputError(f"local_attention: expected a width of at least 2 tokens, got {window}")
    every = fields.get("global_attn_every_n_layers")
    every = None if every is None else _whole(fields, "global_attn_every_n_layers")
    types = fields.get("layer_types")
    if types is None:
        return window, 3 if every is None else every
    full = [kind == "full_attention" for kind in types]
    if all(full):
        return None, 1
    distance = every if every else (full[1:].index(True) + 1 if any(full[1:]) else len(full))
    if full != [layer % distance == 0 for layer in range(len(full))]:
        raise InputError(f"layer_types: expected 'full_attention' at layers 0, k, 2k, …, got {list(types)}")
    return window, distance


def _gelu(fields: Mapping[str, Any], name: str) -> Gelu:
    match fields.get(name, "gelu"):
        case "gelu":
            return "erf"
        case "gelu_new" | "gelu_pytorch_tanh":
            return "tanh"
        case other:
            raise InputError(f"{name}: expected 'gelu', 'gelu_new' or 'gelu_pytorch_tanh', got {other!r}")


def _field(fields: Mapping[str, Any], name: str) -> Any:
    if name not in fields:
        raise InputError(f"{name}: expected in config.json, missing")
    return fields[name]
