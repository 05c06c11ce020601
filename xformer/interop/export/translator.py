"""Write a translation run as a folder that MarianMTModel translates with, and CTranslate2 converts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save

from xformer.errors import InputError
from xformer.interop.export.translator_card import translator_card
from xformer.interop.export.translator_compare import TranslatorComparison, compare_translator
from xformer.interop.huggingface.marian import (
    marian_config,
    marian_generation,
    marian_weights,
    require_marian,
)
from xformer.interop.huggingface.translation_tokenizer import (
    tag_of,
    translation_tokenizer_config,
    translation_tokenizer_json,
)
from xformer.progress import Progress
from xformer.storage.checksummed import atomic_folder
from xformer.storage.files import atomic_write
from xformer.tokenizer import Tokenizer
from xformer.translation.load import TranslationRun, open_translation
from xformer.translation.train import never_generated


@dataclass(frozen=True)
class ExportedTranslator:
    """What was written.

    Attributes:
        folder: its path.
        architectures: names of the classes of transformers that hold the model.
        tags: what a source begins with, one for each language that is written.
        max_length: tokens after which a source is cut, tag and end among them.
        comparison: with the run; None where it was left out.
    """

    folder: Path
    architectures: tuple[str, ...]
    tags: tuple[str, ...]
    max_length: int
    comparison: TranslatorComparison | None


def export_translator(
    run: Path, folder: Path, progress: Progress, *, n_lines: int | None = 10_000, comparing: bool = True
) -> ExportedTranslator:
    """Write the best checkpoint of a translation run, compare it with the run, and only then put it in place.

    Args:
        run: the run's folder.
        folder: to write; must be missing or empty.
        progress: what is done.
        n_lines: random lines on which token ids are compared, beside the run's test texts; None for 100,000.
        comparing: whether to compare; needs the extra `hf`.

    Raises:
        InputError: Marian cannot hold the model, or what the folder gives differs from what the run gives;
            nothing is written.
    """
    opened = open_translation(run)
    require_marian(opened.model)
    targets, length = opened.config.translation.targets, opened.config.translation.max_tokens + 2
    with atomic_folder(folder) as scratch:
        fields = write_translator(opened, scratch)
        compared = compare_translator(opened, scratch, n_lines or 100_000, progress) if comparing else None
        with atomic_write(scratch / "README.md") as file:
            file.write(translator_card(opened, folder.resolve().name, compared))
    named = tuple(fields["architectures"])
    return ExportedTranslator(folder, named, tuple(map(tag_of, targets)), length, compared)


def write_translator(opened: TranslationRun, folder: Path) -> dict[str, list[str]]:
    """Write all but the model card; the fields of `config.json`.

    Args:
        opened: the run, whose model `require_marian` accepts.
        folder: that is there.

    Raises:
        InputError: the tokenizer is that of an imported model.
    """
    tokenizer, model, options = opened.tokenizer, opened.model, opened.config.translation
    if not isinstance(tokenizer, Tokenizer):
        raise InputError(f"{opened.run.path}: expected a vocabulary of ours, got that of an imported model")
    source, rows = options.max_tokens + 2, options.room(options.max_tokens + 2) + 1
    never = never_generated(tokenizer, opened.vocabulary)
    weights = {name: value.float() for name, value in marian_weights(model, rows, never).items()}
    fields = marian_config(model, rows) | {"dtype": "float32", "torch_dtype": "float32"}
    with atomic_write(folder / "model.safetensors", "wb") as file:
        file.write(save(weights, metadata={"format": "pt"}))
    _write_json(folder / "config.json", fields)
    _write_json(folder / "generation_config.json", marian_generation(model, rows))
    _write_json(folder / "tokenizer.json", translation_tokenizer_json(tokenizer, options.targets))
    _write_json(
        folder / "tokenizer_config.json",
        translation_tokenizer_config(options.targets, source),
        ascii_only=True,
    )
    return fields


def _write_json(path: Path, content: object, *, ascii_only: bool = False) -> None:
    with atomic_write(path) as file:
        json.dump(content, file, ensure_ascii=ascii_only, indent=1)
        file.write("\n")
