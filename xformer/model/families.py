"""The architectures of other libraries that hold a model: ModernBERT, BERT, XLM-R, DistilBERT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from xformer.errors import InputError
from xformer.model.config import ModelConfig

Family = Literal["modernbert", "bert", "xlm-roberta", "distilbert"]


def held_by_none(config: ModelConfig, pooling: str) -> str | None:
    """Why no other library holds a model and its sentence vectors; None if one does.

    Vectors are held where they are the mean of the tokens after the final norm, projected to some
    coordinates: sentence-transformers has a module for each of these steps.

    Args:
        config: the model's settings.
        pooling: how its tokens become one vector, `mean` or `weighted`.
    """
    try:
        family_of(config)
    except InputError as error:
        return str(error)
    if config.final_norm and not config.pool_after_norm:
        return "model.pool_after_norm: others pool after the final norm, got False"
    if pooling != "mean":
        return f"objectives.pooling: others have no such pooling as {pooling!r}; expected 'mean'"
    return None


def family_of(config: ModelConfig) -> Family:
    """The Hugging Face architecture of a model.

    Raises:
        InputError: no architecture fits; the message names the first setting that does not.
    """
    if config.bigrams:
        raise InputError(
            f"model.bigrams: expected 0, since Hugging Face's models have no bigrams, got {config.bigrams}"
        )
    if config.norm_position == "pre":
        needed: dict[str, Any] = {"positions": "rotary", "n_segments": 0, "norm": "layernorm"}
        needed |= {"embedding_norm": True, "skip_first_norm": True, "final_norm": True}
        _require_ours(config, "ModernBERT", needed)
        if not config.gated:
            found = repr(config.activation)
            raise InputError(f"model.activation: ModernBERT needs 'geglu' or 'swiglu', got {found}")
        return "modernbert"
    needed = {"positions": "learned", "norm": "layernorm", "bias": True}
    needed |= {"embedding_norm": True, "final_norm": False, "decoder_bias": True}
    name = "XLM-R" if config.position_offset else "BERT" if config.n_segments else "DistilBERT"
    _require_ours(config, name, needed)
    if config.activation not in ("gelu", "relu"):
        raise InputError(f"model.activation: {name} needs 'gelu' or 'relu', got {config.activation!r}")
    if not all(config.is_global(layer) for layer in range(config.n_layers)):
        raise InputError(f"model.window: {name} has global layers only, got {config.window}")
    if name == "XLM-R":
        if config.n_segments == 0:
            raise InputError("model.n_segments: XLM-R needs at least 1, got 0")
        # Its masked-LM head has the exact GELU, whatever the blocks have.
        _require_ours(config, name, {"gelu": "erf", "activation": "gelu"})
        return "xlm-roberta"
    if name == "DistilBERT":
        _require_ours(config, name, {"norm_eps": 1e-12})
        return "distilbert"
    return "bert"


def _require_ours(config: ModelConfig, family: str, needed: Mapping[str, Any]) -> None:
    for name, value in {**needed, "head_activation_norm": True, "scale_embeddings": False}.items():
        if getattr(config, name) != value:
            raise InputError(f"model.{name}: {family} needs {value!r}, got {getattr(config, name)!r}")
