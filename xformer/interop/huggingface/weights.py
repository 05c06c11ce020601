"""Conversion of parameter names: ours are ModernBERT's, those of BERT, DistilBERT and XLM-R are translated.

Our names begin with `encoder.` in the encoder and with `head.` in the masked-LM head.

Shapes: C d_model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.model.families import Family

Names = list[tuple[str, str]]

# Parts of BERT and XLM-R that we do not have: the pooler, next-sentence prediction, tables of indices.
_LEFT = re.compile(r"(.*\.)?pooler\..*|cls\.seq_relationship\..*|(.*\.)?(position_ids|token_type_ids)")
# The name under which the decoder of BERT and XLM-R has its bias, and the second name of the same.
_BIAS = re.compile(r"(cls\.predictions|lm_head)\.(decoder\.)?bias")
_PARTS = ("query", "key", "value")
_PREFIX: dict[Family, str] = {
    "modernbert": "model.",
    "bert": "bert.",
    "distilbert": "distilbert.",
    "xlm-roberta": "roberta.",
}


@dataclass(frozen=True)
class OurWeights:
    """The weights of another library's model in our names.

    Attributes:
        ours: by our names.
        left: those that we compute nothing with, by their names.
        bare: whether the encoder's names have no prefix, as in a model without a head.
    """

    ours: dict[str, Tensor]
    left: dict[str, Tensor]
    bare: bool


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
    theirs = {_translate(name, names): value for name, value in weights.items()}
    for name in [name for name in theirs if _BIAS.fullmatch(name) and "head.weight" in weights]:
        # With a matrix of its own the decoder has its bias under both names.
        theirs[name.replace(".bias", ".decoder.bias")] = theirs[name].clone()
    return theirs


def from_their_names(family: Family, weights: Mapping[str, Tensor], *, tied: bool) -> OurWeights:
    """Translate the names of a Hugging Face architecture to ours.

    Args:
        family: the architecture.
        weights: its weights by name, from a model with or without a head.
        tied: the decoder's matrix is the embedding, so its second name is dropped.

    Raises:
        InputError: the architecture has no weight of this name.
    """
    prefix = _PREFIX[family]
    bare = not any(name.startswith(prefix) for name in weights)
    names = _names(family, "" if bare else prefix)
    ours: dict[str, Tensor] = {}
    left: dict[str, Tensor] = {}
    for name, value in weights.items():
        if _LEFT.fullmatch(name):
            left[name] = value
            continue
        # The names of 2018 are still in Google's own checkpoints.
        modern = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
        modern = re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", modern)
        if _BIAS.fullmatch(modern):
            # Where both names are there, the decoder's own is what a model computes with.
            if "decoder" in modern or modern.replace(".bias", ".decoder.bias") not in weights:
                ours["head.bias"] = value
            elif not tied:
                left[name] = value
            continue
        translated = _translate(modern, names)
        if not (tied and translated == "head.weight"):
            ours[translated] = value
    return OurWeights(ours if family == "modernbert" else dict(_merge(ours)), left, bare)


def their_name(family: Family, name: str, *, bare: bool) -> str:
    """Their name of a weight of ours; of a matrix of queries, keys and values that of the queries."""
    prefix = "" if bare else _PREFIX[family]
    ours = name if family == "modernbert" else name.replace("Wqkv", _PARTS[0])
    return _translate(ours, [(ours, theirs) for theirs, ours in _names(family, prefix)])


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
        case "distilbert":
            return _distilbert_names(prefix)
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


def _distilbert_names(prefix: str) -> Names:
    layer, our_layer = f"{prefix}transformer.layer.#", "encoder.layers.#"
    letters = zip("qkv", _PARTS, strict=True)
    return [
        ("vocab_transform.*", "head.head.dense.*"),
        ("vocab_layer_norm.*", "head.head.norm.*"),
        ("vocab_projector.bias", "head.bias"),
        ("vocab_projector.weight", "head.weight"),
        (f"{prefix}embeddings.word_embeddings.*", "encoder.embeddings.tok_embeddings.*"),
        (f"{prefix}embeddings.position_embeddings.*", "encoder.embeddings.position_embeddings.*"),
        (f"{prefix}embeddings.LayerNorm.*", "encoder.embeddings.norm.*"),
        *((f"{layer}.attention.{letter}_lin.*", f"{our_layer}.attn.{part}.*") for letter, part in letters),
        (f"{layer}.attention.out_lin.*", f"{our_layer}.attn.Wo.*"),
        (f"{layer}.sa_layer_norm.*", f"{our_layer}.attn_norm.*"),
        (f"{layer}.ffn.lin1.*", f"{our_layer}.mlp.Wi.*"),
        (f"{layer}.ffn.lin2.*", f"{our_layer}.mlp.Wo.*"),
        (f"{layer}.output_layer_norm.*", f"{our_layer}.mlp_norm.*"),
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
