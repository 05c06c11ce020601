"""Write a run as a folder that transformers and sentence-transformers load without code of ours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.load import open_finetuned
from xformer.interop.export.card import model_card
from xformer.interop.export.compare import Comparison, compare
from xformer.interop.export.imported import give_back
from xformer.interop.export.library_classifier import (
    HeadComparison,
    compare_classifier,
    max_length_of,
    write_classifier,
)
from xformer.interop.export.source import Source, first_blocks, open_source
from xformer.interop.huggingface.classifier import classifier_fields, classifier_weights
from xformer.interop.huggingface.folder import save_huggingface
from xformer.interop.huggingface.sentence_modules import write_sentence_modules
from xformer.interop.huggingface.tokenizer import tokenizer_config, tokenizer_json
from xformer.model.families import family_of
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.imported import ImportedConfig
from xformer.runs.kind import CLASSIFICATION, IMPORTED, task_of
from xformer.storage.checksummed import atomic_folder
from xformer.storage.files import atomic_write

_SENTENCE_ENCODER = "0_Transformer"
"""Where the encoder of sentence vectors lies if these are taken before the last block."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: its path.
        architectures: names of the classes of transformers that hold the model.
        vector_width: coordinates of a sentence's vector.
        vector_blocks: number of blocks after which it is taken.
        max_length: tokens after which a text is cut.
        comparison: with the run; None where it was left out, and for an imported run.
        given_back: whether it is the folder that was imported, with the run's weights.
        head_comparison: of a run that was fine-tuned from an imported model.
    """

    folder: Path
    architectures: tuple[str, ...]
    vector_width: int
    vector_blocks: int
    max_length: int
    comparison: Comparison | None
    given_back: bool = False
    head_comparison: HeadComparison | None = None


def export_huggingface(
    run: Path, folder: Path, progress: Progress, *, n_lines: int | None = 10_000, comparing: bool = True
) -> Exported:
    """Write the model of a run, compare it with the run, and only then put it in place.

    An imported run gives back the folder that it came from; nothing is compared then but its weights.

    Args:
        run: the run's folder.
        folder: to write; must be missing or empty.
        progress: what is done.
        n_lines: lines of the corpus, and as many fuzzed ones, on which token ids are compared; None for the
            whole corpus, and 100,000 fuzzed ones.
        comparing: whether to compare; needs the extra `hf`.

    Raises:
        InputError: no architecture holds the model, a setting of the run is unusable, or what the folder
            gives differs from what the run gives; nothing is written.
    """
    found = find_run(run)
    if task_of(found) == IMPORTED:
        return _given_back(found, folder, progress)
    if task_of(found) == CLASSIFICATION:
        config = found.load_config(FinetuningConfig)
        if config.source is not None:
            named, width = give_back(found, folder, progress), config.model.pooled_dim
            return Exported(folder, named, width, config.layers, config.base.max_length, None, True)
        if config.classifier.head != "own":
            return _library_classifier(found, folder, progress, comparing=comparing)
    source = open_source(run, progress)
    with atomic_folder(folder) as scratch:
        architectures = _write(source, scratch)
        comparison = compare(source, scratch, n_lines, progress) if comparing else None
        with atomic_write(scratch / "README.md") as file:
            file.write(model_card(source, folder.resolve().name, comparison))
    return Exported(
        folder, architectures, source.config.pooled_dim, source.layer, source.max_length, comparison
    )


def _given_back(run: RunDirectory, folder: Path, progress: Progress) -> Exported:
    config = run.load_config(ImportedConfig)
    named = give_back(run, folder, progress)
    model = config.model
    return Exported(folder, named, model.pooled_dim, model.n_layers, config.vectors.max_length, None, True)


def _library_classifier(run: RunDirectory, folder: Path, progress: Progress, *, comparing: bool) -> Exported:
    opened = open_finetuned(run.path)
    with atomic_folder(folder) as scratch:
        named = write_classifier(run, scratch)
        compared = compare_classifier(run, scratch, progress) if comparing else None
    config = opened.config
    longest = max_length_of(opened)
    return Exported(
        folder, named, config.model.pooled_dim, config.layers, longest, None, head_comparison=compared
    )


def _write(source: Source, folder: Path) -> tuple[str, ...]:
    """Write all but the model card; the names of the classes that hold the model."""
    config, classes = source.config, source.classes
    if classes is None:
        # A new classifier would read the state of `<s>` otherwise, which our texts do not have.
        pooled = {"classifier_pooling": "mean"} if family_of(config) == "modernbert" else {}
        save_huggingface(folder, source.encoder, source.head, fields=pooled)
    else:
        save_huggingface(
            folder,
            source.encoder,
            fields=classifier_fields(classes.labels, classes.multi_label),
            more=classifier_weights(config, classes.weight, classes.bias),
        )
    whole = source.layer == config.n_layers
    if not whole:
        save_huggingface(folder / _SENTENCE_ENCODER, first_blocks(source.encoder, source.layer))
    inside = "" if whole else _SENTENCE_ENCODER
    for place in {folder, folder / inside}:
        _write_json(place / "tokenizer.json", tokenizer_json(source.tokenizer), ascii_only=False)
        _write_json(place / "tokenizer_config.json", tokenizer_config(source.max_length))
    write_sentence_modules(folder, config, inside, source.max_length)
    written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return tuple(written["architectures"])


def _write_json(path: Path, content: object, *, ascii_only: bool = True) -> None:
    with atomic_write(path) as file:
        json.dump(content, file, ensure_ascii=ascii_only, indent=1)
        file.write("\n")
