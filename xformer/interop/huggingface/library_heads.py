"""Heads of classifiers in folders of Hugging Face: names of their weights, labels, and what a label is of.

Our names of a head's weights are those of `xformer.finetuning.heads.library`.

Shapes: C d_model, N classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from xformer.errors import InputError
from xformer.model.families import Family

Unit = Literal["text", "words"]
"""What gets a label: a text, or each of its words."""

_ENDS: dict[str, Unit] = {"ForSequenceClassification": "text", "ForTokenClassification": "words"}
_OTHER_ENDS = (
    "ForQuestionAnswering",
    "ForMultipleChoice",
    "ForNextSentencePrediction",
    "LMHeadModel",
    "ForCausalLM",
)
_PREFIX: dict[Family, str] = {
    "bert": "Bert",
    "distilbert": "DistilBert",
    "xlm-roberta": "XLMRoberta",
    "modernbert": "ModernBert",
}
_MODERN = {"dense": "head.dense", "norm": "head.norm", "out": "classifier"}
_PARTS: dict[tuple[Family, Unit], dict[str, str]] = {
    ("bert", "text"): {"dense": "bert.pooler.dense", "out": "classifier"},
    ("bert", "words"): {"out": "classifier"},
    ("distilbert", "text"): {"dense": "pre_classifier", "out": "classifier"},
    ("distilbert", "words"): {"out": "classifier"},
    ("xlm-roberta", "text"): {"dense": "classifier.dense", "out": "classifier.out_proj"},
    ("xlm-roberta", "words"): {"out": "classifier"},
    ("modernbert", "text"): _MODERN,
    ("modernbert", "words"): _MODERN,
}


@dataclass(frozen=True)
class Labels:
    """What a classifier says.

    Attributes:
        unit: what gets a label.
        names: by number.
        multi_label: whether a text may have several.
    """

    unit: Unit
    names: tuple[str, ...]
    multi_label: bool


def unit_of(fields: Mapping[str, Any]) -> Unit | None:
    """What a model gives labels, by the class that `config.json` names; None if it gives none.

    Raises:
        InputError: it is a model for another task.
    """
    named = fields.get("architectures")
    name = named[0] if isinstance(named, list | tuple) and named else None
    if not isinstance(name, str):
        return None
    if name.endswith(_OTHER_ENDS):
        raise InputError(
            "architectures: expected an encoder, a masked LM, or a class that ends in"
            f" {' or '.join(_ENDS)}, got {name}"
        )
    return next((unit for end, unit in _ENDS.items() if name.endswith(end)), None)


def class_name(family: Family, unit: Unit) -> str:
    """The class of transformers of a classifier."""
    return _PREFIX[family] + next(end for end, one in _ENDS.items() if one == unit)


def take_head(
    family: Family, unit: Unit, weights: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Split the weights of a classifier: those of its head, by our names, and all others, by theirs.

    Raises:
        InputError: the head has none, which transformers would draw at random.
    """
    ours = {f"{theirs}.": f"{name}." for name, theirs in _PARTS[family, unit].items()}
    head: dict[str, Tensor] = {}
    others: dict[str, Tensor] = {}
    for name, value in weights.items():
        place, _, last = name.rpartition(".")
        if f"{place}." in ours:
            head[ours[f"{place}."] + last] = value
        else:
            others[name] = value
    for theirs, name in ours.items():
        if f"{name}weight" not in head:
            raise InputError(
                f"weights: {theirs}weight is missing, which {class_name(family, unit)} has; transformers"
                " would draw it at random"
            )
    return head, others


def their_head_names(family: Family, unit: Unit, head: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a head by their names."""
    parts = _PARTS[family, unit]
    found = {}
    for name, value in head.items():
        part, last = name.split(".")
        found[f"{parts[part]}.{last}"] = value
    return found


def labels_of(fields: Mapping[str, Any], unit: Unit, n_classes: int) -> Labels:
    """The labels that a `config.json` names, and whether a text may have several.

    Args:
        fields: of it.
        unit: what gets a label.
        n_classes: rows of the head's last layer.

    Raises:
        InputError: it is a regression, there are too few labels, or their names do not fit the head.
    """
    problem = fields.get("problem_type")
    several = problem == "multi_label_classification"
    if problem not in (None, "single_label_classification", "multi_label_classification"):
        raise InputError(
            "problem_type: expected single_label_classification or multi_label_classification, got"
            f" {problem!r}: numbers instead of labels are not supported"
        )
    if n_classes < 2:
        raise InputError(
            f"id2label: expected two labels or more, got {n_classes}: a model of one number gives a score, as"
            " those of a regression or a re-ranker do"
        )
    if several and unit == "words":
        raise InputError(f"problem_type: expected single_label_classification for words, got {problem!r}")
    named = fields.get("id2label")
    if named is None:
        return Labels(unit, tuple(f"LABEL_{number}" for number in range(n_classes)), several)
    expected = (
        f"id2label: expected a name for each of 0 to {n_classes - 1}, of which the head has {n_classes}"
    )
    if not isinstance(named, Mapping):
        raise InputError(f"{expected}; got {named!r:.80}")
    by_number = {str(number): name for number, name in named.items()}
    if sorted(by_number) != sorted(map(str, range(n_classes))):
        raise InputError(f"{expected}; got {', '.join(sorted(by_number))[:80]}")
    names = [by_number[str(number)] for number in range(n_classes)]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InputError(f"id2label: expected different names, got {', '.join(map(str, names))[:80]}")
    return Labels(unit, tuple(names), several)


def label_fields(family: Family, labels: Labels) -> dict[str, Any]:
    """The fields of `config.json` that say what a classifier gives."""
    problem = "multi_label_classification" if labels.multi_label else "single_label_classification"
    return {
        "architectures": [class_name(family, labels.unit)],
        "id2label": {str(number): name for number, name in enumerate(labels.names)},
        "label2id": {name: number for number, name in enumerate(labels.names)},
        **({"problem_type": problem} if labels.unit == "text" else {}),
    }
