"""Conversion of settings between `ModelConfig` and the `config.json` of each architecture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from xformer.errors import InputError
from xformer.model.config import Activation, Gelu, ModelConfig
from xformer.model.families import Family, family_of

_SIZES = {
    "vocab_size": "vocab_size",
    "d_model": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "d_ff": "intermediate_size",
}
"""Names of sizes in `ModelConfig` and in `config.json`."""

_DISTILBERT_SIZES = _SIZES | {
    "d_model": "dim",
    "n_layers": "n_layers",
    "n_heads": "n_heads",
    "d_ff": "hidden_dim",
}

# The ids of our special tokens are fixed.
_SPECIAL_IDS = {
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
    "cls_token_id": 0,
    "sep_token_id": 2,
    "mask_token_id": 4,
}

_FAMILIES: dict[str, Family] = {
    "modernbert": "modernbert",
    "bert": "bert",
    "distilbert": "distilbert",
    "xlm-roberta": "xlm-roberta",
    # Other names of the same architecture.
    "roberta": "xlm-roberta",
    "camembert": "xlm-roberta",
}

_UNSUPPORTED: dict[str, tuple[Any, ...]] = {
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "is_encoder_decoder": (False,),
    "position_embedding_type": ("absolute",),
    "rope_scaling": (None,),
    "pruned_heads": (None, {}),
    "quantization_config": (None,),
    "auto_map": (None, {}),
}
"""Fields that change what is computed, with the values that change nothing; other values are refused.
`auto_map` names code of the folder's own, which is never run."""


def config_to_huggingface(config: ModelConfig) -> dict[str, Any]:
    """The fields of `config.json`, with our special token ids.

    Raises:
        InputError: no architecture of Hugging Face fits; the message names the setting.
    """
    family = family_of(config)
    gelu = "gelu" if config.gelu == "erf" else "gelu_pytorch_tanh"
    if config.activation == "relu":
        gelu = "relu"
    sizes = _DISTILBERT_SIZES if family == "distilbert" else _SIZES
    fields: dict[str, Any] = {
        "model_type": family,
        **{theirs: getattr(config, ours) for ours, theirs in sizes.items()},
        "initializer_range": config.init_std,
        "tie_word_embeddings": config.tie_embeddings,
        **_SPECIAL_IDS,
        # A field of our own: transformers keeps fields that it does not know.
        **({"pooled_dim_fraction": config.pooled_dim_fraction} if config.pooled_dim_fraction < 1 else {}),
    }
    if family == "distilbert":
        return fields | {
            "architectures": ["DistilBertForMaskedLM"],
            "activation": gelu,
            "dropout": config.dropout,
            "attention_dropout": config.attention_dropout,
            "max_position_embeddings": config.max_length,
            "sinusoidal_pos_embds": False,
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
        # The same in the names of transformers 4; no number of these says which layers there are.
        **(
            {"global_attn_every_n_layers": 1 if config.window is None else config.global_every}
            if config.window is None or config.global_layers is None
            else {}
        ),
        "global_rope_theta": config.rotary_base,
        "local_rope_theta": config.rotary_base_local,
    }


def config_from_huggingface(fields: Mapping[str, Any]) -> ModelConfig:
    """The settings of a `config.json` of ModernBERT, BERT, DistilBERT or XLM-R.

    ModernBERT's `mlp_dropout`, inside the feed-forward, has no counterpart and is ignored.

    Raises:
        InputError: a field is missing, or has a value that our model does not support; the message names it.
    """
    family = family_of_fields(fields)
    for name, values in _UNSUPPORTED.items():
        if name in fields and fields[name] not in values:
            raise InputError(f"{name}: expected {values[0]!r} or no such field, got {fields[name]!r}")
    try:
        if family == "modernbert":
            return _from_modernbert(fields)
        return _from_distilbert(fields) if family == "distilbert" else _from_bert(fields, family)
    except ValueError as error:  # a rule of ours, in whose message our name of the field stands
        raise error if isinstance(error, InputError) else InputError(f"config.json: {error}") from error


def family_of_fields(fields: Mapping[str, Any]) -> Family:
    """The architecture that a `config.json` names.

    Raises:
        InputError: it names none, or none of ours.
    """
    name = _field(fields, "model_type")
    if not isinstance(name, str) or name not in _FAMILIES:
        raise InputError(f"model_type: expected one of {', '.join(_FAMILIES)}, got {name!r}")
    return _FAMILIES[name]


def special_ids(fields: Mapping[str, Any]) -> dict[str, int]:
    """The ids of special tokens that a `config.json` names."""
    found = {name: fields.get(name) for name in _SPECIAL_IDS}
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _from_modernbert(fields: Mapping[str, Any]) -> ModelConfig:
    activation = fields.get("hidden_activation", "gelu")
    bias = _flag(fields, "norm_bias", False)
    for name in ("attention_bias", "mlp_bias", "classifier_bias"):
        if _flag(fields, name, False) != bias:
            raise InputError(f"{name}: expected {bias}, as norm_bias, got {fields.get(name, False)}")
    # A classifier without one (`linear`) is what `export hf` writes of a run of ours.
    plain = fields.get("classifier_activation") == "linear"
    gelu = _gelu(fields, "hidden_activation" if plain else "classifier_activation")
    if activation != "silu" and _gelu(fields, "hidden_activation") != gelu:
        raise InputError(f"classifier_activation: expected {activation!r}, as hidden_activation")
    window, global_every, global_layers = _layer_pattern(fields)
    return ModelConfig.modernbert(
        **_sizes(fields, _SIZES),
        max_length=_whole(fields, "max_position_embeddings", 8192),
        rotary_base=_rotary_base(fields, "full_attention", "global_rope_theta", 160_000.0),
        rotary_base_local=_rotary_base(fields, "sliding_attention", "local_rope_theta", 10_000.0),
        norm_eps=_number(fields, "norm_eps", 1e-5),
        activation="swiglu" if activation == "silu" else "geglu",
        gelu=gelu,
        bias=bias,
        window=window,
        global_every=global_every,
        global_layers=global_layers,
        tie_embeddings=_flag(fields, "tie_word_embeddings", True),
        decoder_bias=_flag(fields, "decoder_bias", True),
        dropout=_number(fields, "embedding_dropout", 0.0),
        attention_dropout=_number(fields, "attention_dropout", 0.0),
    )


def _from_bert(fields: Mapping[str, Any], family: Family) -> ModelConfig:
    activation, gelu = _activation(fields, "hidden_act")
    if family == "xlm-roberta" and (activation, gelu) != ("gelu", "erf"):
        raise InputError(f"hidden_act: expected 'gelu', which XLM-R's head has, got {fields['hidden_act']!r}")
    offset = _whole(fields, "pad_token_id", 1) + 1 if family == "xlm-roberta" else 0
    return ModelConfig.bert(
        **_sizes(fields, _SIZES),
        max_length=_whole(fields, "max_position_embeddings", 512) - offset,
        position_offset=offset,
        n_segments=_whole(fields, "type_vocab_size", 2),
        norm_eps=_number(fields, "layer_norm_eps", 1e-12),
        activation=activation,
        gelu=gelu,
        tie_embeddings=_flag(fields, "tie_word_embeddings", True),
        dropout=_number(fields, "hidden_dropout_prob", 0.1),
        attention_dropout=_number(fields, "attention_probs_dropout_prob", 0.1),
    )


def _from_distilbert(fields: Mapping[str, Any]) -> ModelConfig:
    # Positions are a table with names and values of its own even where they began as sinusoids.
    activation, gelu = _activation(fields, "activation")
    return ModelConfig.bert(
        **_sizes(fields, _DISTILBERT_SIZES),
        max_length=_whole(fields, "max_position_embeddings", 512),
        n_segments=0,
        norm_eps=1e-12,
        activation=activation,
        gelu=gelu,
        tie_embeddings=_flag(fields, "tie_word_embeddings", True),
        dropout=_number(fields, "dropout", 0.1),
        attention_dropout=_number(fields, "attention_dropout", 0.1),
    )


def _sizes(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        **{ours: _whole(fields, theirs) for ours, theirs in names.items()},
        "init_std": _number(fields, "initializer_range", 0.02),
        # Version 0.1 called it `sentence_share`.
        "pooled_dim_fraction": _number(fields, "pooled_dim_fraction", _number(fields, "sentence_share", 1.0)),
    }


def _whole(fields: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = _field(fields, name) if default is None else fields.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{name}: expected a whole number, got {value!r}")
    return value


def _flag(fields: Mapping[str, Any], name: str, default: bool) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise InputError(f"{name}: expected true or false, got {value!r}")
    return value


def _number(fields: Mapping[str, Any], name: str, default: float) -> float:
    value = fields.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise InputError(f"{name}: expected a number, got {value!r}")
    try:
        return float(value)
    except OverflowError as error:
        raise InputError(f"{name}: expected a finite number, got a whole one of too many digits") from error


def _rotary_base(fields: Mapping[str, Any], kind: str, older: str, default: float) -> float:
    """The base of one kind of layer; `older` is its name in the fields of transformers 4."""
    given = fields.get("rope_parameters")
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"rope_parameters: expected an object, got {given!r}")
    if unknown := sorted(map(str, (given or {}).keys() - {"full_attention", "sliding_attention"})):
        raise InputError(
            f"rope_parameters.{unknown[0]}: expected no such field beside full_attention, sliding_attention"
        )
    rope = (given or {}).get(kind)
    if rope is not None and not isinstance(rope, Mapping):
        raise InputError(f"rope_parameters.{kind}: expected an object, got {rope!r}")
    rope = rope or {}
    if rope.get("rope_type", "default") != "default":
        raise InputError(f"rope_parameters.{kind}.rope_type: expected 'default', got {rope['rope_type']!r}")
    if unknown := sorted(rope.keys() - {"rope_type", "rope_theta"}):
        raise InputError(f"rope_parameters.{kind}.{unknown[0]}: expected no such field")
    name = f"rope_parameters.{kind}.rope_theta" if "rope_theta" in rope else older
    base = _number(rope, "rope_theta", 0.0) if "rope_theta" in rope else _number(fields, older, default)
    if not 0 < base < math.inf:
        raise InputError(f"{name}: expected a finite positive number, got {base!r}")
    return base


def _layer_pattern(fields: Mapping[str, Any]) -> tuple[int | None, int, tuple[int, ...] | None]:
    """`window`, `global_every` and `global_layers`; `layer_types` decides where it is given."""
    window, n_layers = _whole(fields, "local_attention", 128), _whole(fields, "num_hidden_layers")
    if window < 2:
        raise InputError(f"local_attention: expected a width of at least 2 tokens, got {window}")
    types = fields.get("layer_types")
    if types is None:
        every = fields.get("global_attn_every_n_layers")
        every = 3 if every is None else _whole(fields, "global_attn_every_n_layers")
        if every < 1:
            raise InputError(f"global_attn_every_n_layers: expected a whole number from 1, got {every}")
        return window, every, None
    kinds = ("full_attention", "sliding_attention")
    if not isinstance(types, list | tuple) or not all(kind in kinds for kind in types):
        raise InputError(f"layer_types: expected a list of {' and '.join(kinds)}, got {types!r}")
    if len(types) != n_layers:
        raise InputError(
            f"layer_types: expected one for each of num_hidden_layers={n_layers}, got {len(types)}"
        )
    full = [kind == "full_attention" for kind in types]
    if all(full):
        return None, 1, None
    distance = full[1:].index(True) + 1 if any(full[1:]) else len(full)
    # The older field says which of several distances is meant where there is no second global layer.
    older = fields.get("global_attn_every_n_layers")
    for every in ([older] if isinstance(older, int) and older >= 1 else []) + [distance]:
        if full == [layer % every == 0 for layer in range(len(full))]:
            return window, int(every), None
    return window, 1, tuple(layer for layer, whole in enumerate(full) if whole)


def _activation(fields: Mapping[str, Any], name: str) -> tuple[Activation, Gelu]:
    """The activation of BERT's kind, and which GELU it is."""
    return ("relu", "erf") if fields.get(name) == "relu" else ("gelu", _gelu(fields, name))


def _gelu(fields: Mapping[str, Any], name: str) -> Gelu:
    match fields.get(name, "gelu"):
        case "gelu":
            return "erf"
        case "gelu_new" | "gelu_pytorch_tanh":
            return "tanh"
        case other:
            expected = "'gelu', 'gelu_new' or 'gelu_pytorch_tanh'"
            raise InputError(f"{name}: expected {expected}, which are supported here, got {other!r}")


def _field(fields: Mapping[str, Any], name: str) -> Any:
    if name not in fields:
        raise InputError(f"{name}: expected in config.json, missing")
    return fields[name]
