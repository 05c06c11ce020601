"""Conversion of parameter names: ours are ModernBERT's, those of BERT and XLM-R are translated.

Our names begin with `encoder.` in the encoder and with `head.` in the masked-LM head.

Shapes: C d_model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.model.families import Family

Names = list[tuple[str, str]]

# Parts of BERT and XLM-R that we do not have: the pooler, next-sentence prediction, tables of indices, and
# the second name of the decoder's bias.
_IGNORED = re.compile(
    r"(.*\.)?pooler\..*|cls\.seq_relationship\..*|.*\.(position_ids|token_type_ids)"
    r"|(cls\.predictions|lm_head)\.decoder\.bias"
)
_PARTS = ("query", "key", "value")
_PREFIX: dict[Family, str] = {"modernbert": "model.", "bert": "bert.", "xlm-roberta": "roberta."}


def to_their_names(family: Family, weights: Mapping[str, Tensor], *, bare: bool) -> dict[str, Tensor]:
    """Translate our names to those of a Hugging Face architecture.

    Args:
        family: the architecture.
        weights: our weights by name.
        bare: for a model without a head, whose encoder names have no prefix.

    Returns:
        Weights by their names. Query, key and value are views of our one projection.
    """
    if family != "modernbert":
        weights = dict(_split(weights))
    prefix = "" if bare else _PREFIX[family]
    names = [(ours, theirs) for theirs, ours in _names(family, prefix)]
    return {_translate(name, names): value for name, value in weights.items()}


def from_their_names(family: Family, weights: Mapping[str, Tensor], *, tied: bool) -> dict[str, Tensor]:
    """Translate the names of a Hugging Face architecture to ours.

    Args:
        family: the architecture.
        weights: its weights by name, from a model with or without a head.
        tied: the decoder's matrix is the embedding, so its second name is dropped.

    Raises:
        InputError: the architecture has no weight of this name.
    """
    prefix = _PREFIX[family]
    if not any(name.startswith(prefix) for name in weights):
        prefix = ""
    names = _names(family, prefix)
    ours: dict[str, Tensor] = {}
    for name, value in weights.items():
        if _IGNORED.fullmatch(name):
            continue
        # The names of 2018 are still in Google's own checkpoints.
        modern = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
        translated = _translate(re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", modern), names)
        if not (tied and translated == "head.weight"):
            ours[translated] = value
    return ours if family == "modernbert" else dict(_merge(ours))


def _names(family: Family, prefix: str) -> Names:
    """Patterns of their names and of ours: `#` is the number of a layer, a final `*` is the rest."""
    match family:
        case "modernbert":
            return [
                ("decoder.weight", "head.weight"),
                ("decoder.bias", "head.bias"),
                ("head.*", "head.head.*"),
                (f"{prefix}*", "encoder.*"),
            ]
        case "bert":
            head = [
                ("cls.predictions.transform.dense.*", "head.head.dense.*"),
                ("cls.predictions.transform.LayerNorm.*", "head.head.norm.*"),
                ("cls.predictions.bias", "head.bias"),
                ("cls.predictions.decoder.weight", "head.weight"),
            ]
        case "xlm-roberta":
            head = [
                ("lm_head.dense.*", "head.head.dense.*"),
                ("lm_head.layer_norm.*", "head.head.norm.*"),
                ("lm_head.bias", "head.bias"),
                ("lm_head.decoder.weight", "head.weight"),
            ]
    layer, our_layer = f"{prefix}encoder.layer.#", "encoder.layers.#"
    return [
        *head,
        (f"{prefix}embeddings.word_embeddings.*", "encoder.embeddings.tok_embeddings.*"),
        (f"{prefix}embeddings.position_embeddings.*", "encoder.embeddings.position_embeddings.*"),
        (f"{prefix}embeddings.token_type_embeddings.*", "encoder.embeddings.segment_embeddings.*"),
        (f"{prefix}embeddings.LayerNorm.*", "encoder.embeddings.norm.*"),
        *((f"{layer}.attention.self.{part}.*", f"{our_layer}.attn.{part}.*") for part in _PARTS),
        (f"{layer}.attention.output.dense.*", f"{our_layer}.attn.Wo.*"),
        (f"{layer}.attention.output.LayerNorm.*", f"{our_layer}.attn_norm.*"),
        (f"{layer}.intermediate.dense.*", f"{our_layer}.mlp.Wi.*"),
        (f"{layer}.output.dense.*", f"{our_layer}.mlp.Wo.*"),
        (f"{layer}.output.LayerNorm.*", f"{our_layer}.mlp_norm.*"),
    ]


def _translate(name: str, names: Names) -> str:
    for source, target in names:
        pattern = re.escape(source).replace(r"\#", r"(?P<layer>\d+)").replace(r"\*", "(?P<rest>.+)")
        found = re.fullmatch(pattern, name)
        if found:
            groups = found.groupdict()
            return target.replace("#", groups.get("layer", "")).replace("*", groups.get("rest", ""))
    raise InputError(f"weights: {name!r} is not a weight of this architecture")


def _split(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Split (3C, …), query, key and value in one, into three of (C, …)."""
    for name, value in weights.items():
        if ".Wqkv." in name:
            yield from zip((name.replace("Wqkv", part) for part in _PARTS), value.chunk(3), strict=True)
        else:
            yield name, value


def _merge(weights: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Join query, key and value of (C, …) into one of (3C, …)."""
    for name, value in weights.items():
        if ".attn.query." in name:
            parts = [name.replace("query", part) for part in _PARTS]
            absent = [part for part in parts if part not in weights]
            if absent:
                raise InputError(f"weights: missing {', '.join(absent)}")
            yield name.replace("query", "Wqkv"), torch.cat([weights[part] for part in parts])
        elif ".attn.key." not in name and ".attn.value." not in name:
            yield name, value
