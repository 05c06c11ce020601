"""Write a run as a SavedModel with its tokenizer, and compare it in TensorFlow first."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.interop.export.agreement import LARGEST_ERROR, Agreement, Feed, compare_outputs, corpus_texts
from xformer.interop.export.packages import require_packages
from xformer.interop.export.portable import PortableRun, open_portable
from xformer.interop.export.portable_card import compared
from xformer.interop.export.settings_file import settings_of, write_settings
from xformer.interop.export.tensorflow_card import tensorflow_card
from xformer.interop.export.tokenizer_file import (
    IdAgreement,
    agreement_of_ids,
    compare_ids,
    require_portable,
    write_tokenizer,
)
from xformer.interop.network.outputs import Output
from xformer.interop.tensorflow.saved_model import DEFAULT, TOKENS, write_saved_model
from xformer.interop.tensorflow.texts import require_cuttable, text_cutter
from xformer.progress import Progress
from xformer.storage.checksummed import atomic_folder
from xformer.storage.files import atomic_write

_PACKAGES = ("tensorflow", "tokenizers")
_TEXT_PACKAGE = "tensorflow-text"
_AT_ONCE, _TEXTS = 500, 16
"""Lines that are cut at a time; texts whose outputs are compared with those of their ids."""


@dataclass(frozen=True)
class ExportedTensorFlow:
    """What was written.

    Attributes:
        folder: its path.
        signatures: names of the signatures.
        outputs: names of the outputs, each with its axes.
        text: whether it takes texts.
        max_length: tokens after which a text is cut.
        versions: of the packages that it was compared with.
        outputs_compared: with the run, in TensorFlow.
        ids_compared: of the folder's `tokenizer.json`, and with `text` of the SavedModel itself, with the
            run's.
        bytes: of the SavedModel.
    """

    folder: Path
    signatures: tuple[str, ...]
    outputs: dict[str, list[str | int]]
    text: bool
    max_length: int
    versions: dict[str, str]
    outputs_compared: Agreement
    ids_compared: IdAgreement
    bytes: int


def export_tensorflow(
    run: Path,
    folder: Path,
    progress: Progress,
    *,
    outputs: Sequence[Output] | None = None,
    text: bool = False,
    n_lines: int = 10_000,
) -> ExportedTensorFlow:
    """Write the network of a run as a SavedModel; only if TensorFlow agrees with the run, put it in place.

    Args:
        run: of `xformer pretrain`, `finetune` or `import`.
        folder: to write; must be missing or empty.
        progress: says what is done.
        outputs: what is computed; None for all that the run has.
        text: whether it takes texts, which `tensorflow-text` cuts inside.
        n_lines: lines of the corpus, and as many random ones, on which token ids are compared.

    Raises:
        InputError: a package is missing, there is no such run or output, the run cannot take texts, or
            TensorFlow gives something else than the run; nothing is written.
    """
    versions = require_packages((*_PACKAGES, *([_TEXT_PACKAGE] if text else [])), "tensorflow")
    source = open_portable(run, progress, outputs)
    require_portable(source.tokenizer)
    own = require_cuttable(source.tokenizer) if text else None
    if text and source.spec.head is not None and source.spec.head.example == "words":
        raise InputError("--text: expected a run that labels texts; words are cut one by one, outside")
    # TensorFlow says at its start which instructions the CPU has.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    with atomic_folder(folder) as scratch:
        progress.say("write the SavedModel")
        write_saved_model(source.spec, scratch, None if own is None else text_cutter(own, source.max_length))
        n_bytes = sum(path.stat().st_size for path in scratch.rglob("*") if path.is_file())
        write_tokenizer(source.tokenizer, source.max_length, scratch)
        loaded = tf.saved_model.load(str(scratch))
        found = compare_outputs(source, _compute(loaded.signatures[TOKENS]), "tensorflow", progress)
        ids = compare_ids(source, scratch, n_lines, progress)
        if text:
            ids = _compare_texts(source, loaded, n_lines, progress)
        write_settings(settings_of(source) | {"signatures": list(loaded.signatures)}, scratch)
        with atomic_write(scratch / "README.md") as file:
            said = compared(versions, found, ids)
            file.write(tensorflow_card(source, folder.resolve().name, said, text=text))
        signatures = tuple(loaded.signatures)
    return ExportedTensorFlow(
        folder,
        signatures,
        {name: source.spec.shape(name) for name in source.spec.outputs},
        text,
        source.max_length,
        versions,
        found,
        ids,
        n_bytes,
    )


def _compute(signature: Any) -> Any:
    import tensorflow as tf

    def compute(fed: Feed) -> Mapping[str, NDArray[np.floating]]:
        found = signature(**{name: tf.constant(value) for name, value in fed.items()})
        return {name: value.numpy() for name, value in found.items()}

    return compute


def _compare_texts(source: PortableRun, loaded: Any, n_lines: int, progress: Progress) -> IdAgreement:
    """Compare the ids that the SavedModel cuts texts into, and what it makes of texts and of their ids.

    Raises:
        InputError: they differ by more than a tie of two cuts.
    """
    import tensorflow as tf

    def cut(texts: Sequence[str]) -> list[list[int]]:
        ids, mask = (one.numpy() for one in loaded.cut(tf.constant(list(texts), tf.string)))
        return [row[kept > 0].tolist() for row, kept in zip(ids, mask, strict=True)]

    found = agreement_of_ids(source, cut, n_lines, "tensorflow", progress, most=source.max_length)
    texts = [*corpus_texts(source, _TEXTS), "", "\u2581", "Open the file"]
    given = [tf.constant(some, tf.string) for some in (texts, texts[::-1])][: len(source.spec.inputs) // 2]
    parts = [part for one in given for part in loaded.cut(one)]
    of_ids = loaded.signatures[TOKENS](**dict(zip(source.spec.inputs, parts, strict=True)))
    names = ["texts", "texts_2"]
    of_texts = loaded.signatures[DEFAULT](**dict(zip(names, given, strict=False)))
    for name, value in of_ids.items():
        error = float(tf.reduce_max(tf.abs(of_texts[name] - value)))
        if not error <= LARGEST_ERROR:
            raise InputError(f"tensorflow: {name} of texts and of their ids differ by {error:.1e}")
    return found
