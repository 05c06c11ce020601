"""How a text becomes a vector, by the files of sentence-transformers: pooling, unit length, longest text.

Shapes: C d_model, D width of a sentence's vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from xformer.errors import InputError
from xformer.interop.huggingface.folder import read_json, read_json_object
from xformer.runs.imported import ImportedPooling

_KINDS = ("Transformer", "Pooling", "Dense", "Normalize")
_NO_POOLING = {
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True)
class SentenceModules:
    """What `modules.json` says.

    Attributes:
        encoder: folder of the encoder inside; empty for the folder itself.
        pooling: of the tokens.
        normalise: whether vectors have length 1.
        max_length: longest sequence in tokens; None where the model's own length holds.
        width: D, the first coordinates of which are kept; None for all.
    """

    encoder: str = ""
    pooling: ImportedPooling = "mean"
    normalise: bool = False
    max_length: int | None = None
    width: int | None = None


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
    allowed = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Dense"])
    plain = kinds[:-1] if kinds[-1:] == ["Normalize"] else kinds
    if plain not in allowed:
        raise InputError(
            f"{file}: expected Transformer, Pooling, and maybe Dense and Normalize, got {', '.join(kinds)}"
        )
    paths = {kind: _inside(folder, path, file) for kind, path in modules}
    encoder = paths["Transformer"]
    _require_no_prompt(folder)
    width = _kept(paths["Dense"]) if "Dense" in paths else None
    return SentenceModules(
        "" if encoder == folder else encoder.relative_to(folder).as_posix(),
        _pooling(paths["Pooling"]),
        kinds[-1] == "Normalize",
        _max_length(encoder),
        width,
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


def _pooling(folder: Path) -> ImportedPooling:
    """`first` or `mean`."""
    file = folder / "config.json"
    fields = read_json_object(file) if file.is_file() else {}
    if (mode := fields.get("pooling_mode")) is not None:
        chosen = [mode] if isinstance(mode, str) else list(mode)
    else:
        modes = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"} | _NO_POOLING
        chosen = [short for name, short in modes.items() if fields.get(name)] or ["mean"]
    if chosen not in (["cls"], ["mean"]):
        raise InputError(f"{file}: pooling_mode: expected 'cls' or 'mean', got {', '.join(map(str, chosen))}")
    if fields.get("include_prompt", True) is not True:
        raise InputError(f"{file}: include_prompt: expected true, got {fields['include_prompt']!r}")
    return "first" if chosen == ["cls"] else "mean"


def _kept(folder: Path) -> int:
    """The number of first coordinates that a projection keeps.

    Raises:
        InputError: it does anything else.
    """
    fields = read_json_object(folder / "config.json")
    given, kept = fields.get("in_features"), fields.get("out_features")
    function = str(fields.get("activation_function", "torch.nn.modules.activation.Tanh"))
    try:
        weights = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder / 'model.safetensors'}: expected safetensors: {error}") from error
    matrix = weights.get("linear.weight")
    keeps = (
        isinstance(given, int)
        and isinstance(kept, int)
        and 0 < kept <= given
        and matrix is not None
        and torch.equal(matrix.float(), torch.eye(kept, given))
    )
    if not keeps or not function.endswith("Identity") or weights.keys() != {"linear.weight"}:
        raise InputError(
            f"{folder}: Dense: expected a projection to the first coordinates, without bias or activation,"
            f" got {given} to {kept} with {function.rsplit('.', 1)[-1]}"
        )
    assert isinstance(kept, int)
    return kept


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


def _require_no_prompt(folder: Path) -> None:
    file = folder / "config_sentence_transformers.json"
    if file.is_file() and (name := read_json_object(file).get("default_prompt_name")) is not None:
        raise InputError(
            f"{file}: default_prompt_name: expected null, got {name!r}: texts would need it in front"
        )
