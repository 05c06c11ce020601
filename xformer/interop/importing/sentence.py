"""How a text becomes a vector, by the files of sentence-transformers: pooling, layers behind it, prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.interop.huggingface.folder import read_json, read_json_object, read_weights
from xformer.runs.imported import DenseActivation, DenseConfig, ImportedPooling

_KINDS = ("Transformer", "Pooling", "Dense", "Normalize")
_POOLING: dict[str, ImportedPooling] = {
    "cls": "first",
    "mean": "mean",
    "max": "max",
    "lasttoken": "last",
    "weightedmean": "by_position",
    "mean_sqrt_len_tokens": "root_length",
}
"""Names of sentence-transformers, and ours."""
_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Older fields, one for each way of pooling."""
_ACTIVATIONS: dict[str, DenseActivation] = {
    "Identity": "identity",
    "Tanh": "tanh",
    "ReLU": "relu",
    "GELU": "gelu",
    "Sigmoid": "sigmoid",
}


@dataclass(frozen=True)
class Dense:
    """A module Dense.

    Attributes:
        config: its settings.
        weights: by the names that `Projection` has.
    """

    config: DenseConfig
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class SentenceModules:
    """What `modules.json` says.

    Attributes:
        encoder: folder of the encoder inside; empty for the folder itself.
        pooling: of the tokens.
        normalise: whether vectors have length 1.
        max_length: longest sequence in tokens; None where the model's own length holds.
        width: the first coordinates that a projection keeps; None for all.
        dense: layers behind the pooling.
        prompts: texts that may stand in front of a text, by name.
        default_prompt: the name of the one that does; None for no text.
    """

    encoder: str = ""
    pooling: ImportedPooling = "mean"
    normalise: bool = False
    max_length: int | None = None
    width: int | None = None
    dense: tuple[Dense, ...] = ()
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None


def read_modules(folder: Path) -> SentenceModules | None:
    """Read `modules.json` and what it names; None where the folder is not one of sentence-transformers.

    Raises:
        InputError: a file is broken, or a module or a setting is not supported; it is named.
    """
    file = folder / "modules.json"
    if not file.is_file():
        return None
    modules = _listed(file)
    kinds = [kind for kind, _ in modules]
    plain = kinds[:-1] if kinds[-1:] == ["Normalize"] else kinds
    if plain[:2] != ["Transformer", "Pooling"] or set(plain[2:]) - {"Dense"}:
        raise InputError(
            f"{file}: expected Transformer, Pooling, and maybe Dense and Normalize, got {', '.join(kinds)}"
        )
    places = [(kind, _inside(folder, path, file)) for kind, path in modules]
    encoder = places[0][1]
    prompts, default = _prompts(folder)
    dense = [_dense(place) for kind, place in places if kind == "Dense"]
    width = _kept(dense[0]) if len(dense) == 1 else None
    return SentenceModules(
        "" if encoder == folder else encoder.relative_to(folder).as_posix(),
        _pooling(places[1][1], prompted=any(prompts.values())),
        kinds[-1] == "Normalize",
        _max_length(encoder),
        width,
        tuple(dense) if width is None else (),
        prompts,
        default,
    )


def _listed(file: Path) -> Sequence[tuple[str, str]]:
    """Kind and path of each module."""
    content = read_json(file)
    try:
        found = [(module["type"].rsplit(".", 1), str(module["path"])) for module in content]
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{file}: expected a list of modules with type and path") from error
    for (package, *kind), _ in found:
        if not package.startswith("sentence_transformers.") or not kind or kind[0] not in _KINDS:
            raise InputError(
                f"{file}: type: expected one of sentence_transformers' {', '.join(_KINDS)},"
                f" got {'.'.join([package, *kind])!r}"
            )
    return [(name[1], path) for name, path in found]


def _inside(folder: Path, path: str, file: Path) -> Path:
    """A module's folder; a name without parents, as sentence-transformers writes them."""
    if path not in ("", ".") and Path(path).name != path:
        raise InputError(f"{file}: path: expected a folder inside, got {path!r}")
    return folder / path if path not in ("", ".") else folder


def _pooling(folder: Path, *, prompted: bool) -> ImportedPooling:
    file = folder / "config.json"
    fields = read_json_object(file) if file.is_file() else {}
    if (mode := fields.get("pooling_mode")) is not None:
        chosen = [mode] if isinstance(mode, str) else list(mode)
    else:
        chosen = [short for name, short in _MODES.items() if fields.get(name)] or ["mean"]
    if len(chosen) != 1 or chosen[0] not in _POOLING:
        raise InputError(
            f"{file}: pooling_mode: expected one of {', '.join(_POOLING)}, got {', '.join(map(str, chosen))}"
        )
    if prompted and fields.get("include_prompt", True) is not True:
        raise InputError(
            f"{file}: include_prompt: expected true, as there are prompts, got {fields['include_prompt']!r}"
        )
    return _POOLING[chosen[0]]


def _dense(folder: Path) -> Dense:
    """Read a module Dense.

    Raises:
        InputError: a file is broken, or its weights are of other shapes than it says.
    """
    file = folder / "config.json"
    fields = read_json_object(file)
    before, after, bias = fields.get("in_features"), fields.get("out_features"), fields.get("bias", True)
    if not (_whole(before) and _whole(after) and isinstance(bias, bool)):
        raise InputError(
            f"{file}: expected whole numbers in_features, out_features, and a bias or none, got {before!r},"
            f" {after!r}, {bias!r}"
        )
    function = str(fields.get("activation_function", "torch.nn.modules.activation.Tanh"))
    name = function.rpartition(".")[2]
    if not function.startswith("torch.nn.modules.") or name not in _ACTIVATIONS:
        raise InputError(
            f"{file}: activation_function: expected torch's {', '.join(_ACTIVATIONS)}, got {function!r}"
        )
    weights = read_weights(folder)
    wanted = {"linear.weight": (after, before)} | ({"linear.bias": (after,)} if bias else {})
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if found != wanted:
        raise InputError(f"{folder}: Dense: expected weights {wanted}, got {found}")
    return Dense(
        DenseConfig(after, bias, _ACTIVATIONS[name]),
        {name.removeprefix("linear."): value.float() for name, value in weights.items()},
    )


def _kept(dense: Dense) -> int | None:
    """The number of first coordinates that a projection keeps (our own export); None if it does else."""
    matrix = dense.weights["weight"]
    keeps = dense.config.activation == "identity" and not dense.config.bias and len(matrix) <= matrix.shape[1]
    return len(matrix) if keeps and torch.equal(matrix, torch.eye(*matrix.shape)) else None


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _max_length(folder: Path) -> int | None:
    for name in ("sentence_bert_config.json", "sentence_roberta_config.json"):
        file = folder / name
        if not file.is_file():
            continue
        fields: dict[str, Any] = read_json_object(file)
        if fields.get("do_lower_case", False):
            raise InputError(f"{file}: do_lower_case: expected false, got {fields['do_lower_case']!r}")
        longest = fields.get("max_seq_length")
        if longest is not None and (not isinstance(longest, int) or isinstance(longest, bool) or longest < 1):
            raise InputError(f"{file}: max_seq_length: expected a whole number from 1, got {longest!r}")
        return longest
    return None


def _prompts(folder: Path) -> tuple[dict[str, str], str | None]:
    """Prompts by name, and the name of the default one."""
    file = folder / "config_sentence_transformers.json"
    fields = read_json_object(file) if file.is_file() else {}
    prompts, default = fields.get("prompts") or {}, fields.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise InputError(f"{file}: prompts: expected texts by name, got {prompts!r:.80}")
    if default is not None and (not isinstance(default, str) or default not in prompts):
        raise InputError(
            f"{file}: default_prompt_name: expected one of prompts ({', '.join(prompts) or 'none'}), or null,"
            f" got {default!r}"
        )
    return prompts, default
