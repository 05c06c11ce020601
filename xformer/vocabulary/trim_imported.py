"""Trim an imported run to some texts: the same model with fewer pieces, which `xformer export hf` writes.

Shapes: V pieces before, K after.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from xformer.errors import InputError
from xformer.model.packed import pack
from xformer.pretraining.pretrained import PretrainedRun, open_pretrained
from xformer.progress import Progress
from xformer.runs.checkpoint import TrainingState, verified_checkpoint, weights_hash, write_tensors
from xformer.runs.checkpoint_folders import checkpoint_folders
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.imported import ImportedConfig
from xformer.runs.kind import IMPORTED, settle_task, task_of
from xformer.runs.origin import Origin
from xformer.storage.checksummed import atomic_folder
from xformer.storage.files import atomic_write
from xformer.storage.toml import save_toml
from xformer.tokenizer.errors import TokenizerError
from xformer.tokenizer.fast import FastTokenizer
from xformer.tokenizer.trim_fast import pieces_in_fast, trim_fast
from xformer.vocabulary.check import require_alike
from xformer.vocabulary.fit import fit_vocabulary
from xformer.vocabulary.rows import with_rows
from xformer.vocabulary.source import Texts
from xformer.vocabulary.trim import MADE_BY, Trimmed

_PROBED = 32
"""Texts whose outputs are compared."""


@dataclass(frozen=True)
class ImportedSource:
    """An imported run, which has no corpus of its own.

    Attributes:
        run: its folder.
    """

    run: RunDirectory

    @classmethod
    def open(cls, path: Path) -> ImportedSource | None:
        """The run, if it was imported; None for another one.

        Raises:
            InputError: there is no run.
        """
        run = find_run(path)
        return cls(run) if task_of(run) == IMPORTED else None

    def corpus(self) -> None:
        """None."""
        return None


def trim_imported(source: ImportedSource, texts: Texts, out: Path, progress: Progress) -> Trimmed:
    """Make an imported run that has the pieces of some texts alone; arguments are those of `trim_run`.

    Texts of a corpus do not become the new run's: an imported run has none.

    Raises:
        InputError: there are no texts, the tokenizer has no `tokenizer.json`, or a text would be cut in
            another way. Nothing is written.
    """
    opened = open_pretrained(source.run.path)
    before = opened.tokenizer
    if not isinstance(before, FastTokenizer):
        raise InputError(
            f"{source.run.path}: its tokenizer has no tokenizer.json, by which alone an imported vocabulary"
            " can be trimmed. transformers writes one: AutoTokenizer.from_pretrained(…).save_pretrained(…);"
            " then import again"
        )
    try:
        fitted = fit_vocabulary(texts, before, pieces_in_fast, trim_fast, progress)
    except TokenizerError as error:
        raise InputError(f"{source.run.path}: {error}") from error
    after, old_ids = fitted.tokenizer, fitted.old_ids
    with atomic_folder(out) as folder:
        made = _write(opened, texts, RunDirectory(folder), (before, after), old_ids)
        difference = _difference(opened, open_pretrained(folder), texts)
        require_alike(difference)
        found = Trimmed(
            out,
            texts.languages,
            (before.vocab_size, after.vocab_size),
            *made,
            fitted.kept.texts,
            fitted.unseen,
            difference,
            None,
        )
        _origin(opened, texts, found).save(RunDirectory(folder))
    return found


def _write(
    opened: PretrainedRun,
    texts: Texts,
    run: RunDirectory,
    cuts: tuple[FastTokenizer, FastTokenizer],
    old_ids: NDArray[np.int64],
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Write the run; parameters, and bytes of weights, before and after."""
    assert isinstance(opened.config, ImportedConfig)
    old, config, rows = opened.run, opened.config, torch.from_numpy(old_ids)
    settle_task(run, IMPORTED)
    save_toml(run.config, replace(config, model=replace(config.model, vocab_size=cuts[1].vocab_size)))
    run.tokenizer_folder.mkdir()
    for name, content in cuts[1].files().items():
        with atomic_write(run.tokenizer_folder / name, "wb") as file:
            file.write(content)
    shutil.copytree(old.original, run.original)
    _renumber_config(run.original / config.source.encoder / "config.json", old_ids)
    before = config.model.rows
    if old.left_weights.is_file():
        left = load_file(old.left_weights)
        cut = {name: x[rows] if x.ndim and len(x) == before else x for name, x in left.items()}
        save_file(cut, run.left_weights)
    (place,) = checkpoint_folders(old.checkpoints)[-1:]
    weights = verified_checkpoint(place, ["model"]).whole("model")
    new = with_rows(weights, before, lambda name, x: x[rows])
    write_tensors(run.checkpoints, {"model": new, "optimizer": {}}, TrainingState())
    both = (weights, new)
    parameters = [sum(x.numel() for x in one.values()) for one in both]
    n_bytes = [sum(x.nbytes for x in one.values()) for one in both]
    return (parameters[0], parameters[1]), (n_bytes[0], n_bytes[1])


def _renumber_config(path: Path, old_ids: NDArray[np.int64]) -> None:
    """Sizes and ids of special tokens in a `config.json`."""
    new = {int(old): number for number, old in enumerate(old_ids)}
    fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    fields["vocab_size"] = len(old_ids)
    for name, value in fields.items():
        if name.endswith("_token_id") and isinstance(value, int):
            fields[name] = new.get(value)
    with atomic_write(path) as file:
        json.dump(fields, file, indent=2)
        file.write("\n")


@torch.no_grad()
def _difference(before: PretrainedRun, after: PretrainedRun, texts: Texts) -> float:
    """The largest difference of hidden states, as a share of the largest value."""
    some, longest = list(islice(texts.fitted(), _PROBED)), before.settings.max_length
    hidden = []
    for one in (before, after):
        rows, _ = one.tokenizer.sequences(some, longest)
        hidden.append(one.network.encoder(pack(rows, sort=False)))
    return float((hidden[0] - hidden[1]).abs().max() / hidden[0].abs().max())


def _origin(opened: PretrainedRun, texts: Texts, made: Trimmed) -> Origin:
    (place,) = checkpoint_folders(opened.run.checkpoints)[-1:]
    measured: dict[str, object] = {
        "parameters before and after": list(made.parameters),
        "texts with the same pieces": made.kept_texts,
        "share of unseen texts with the same pieces": made.unseen.share,
        "unseen texts": made.unseen.texts,
        "largest difference of outputs": made.output_difference,
    }
    return Origin(
        MADE_BY,
        str(opened.run.path),
        opened.state.step,
        weights_hash(place),
        opened.tokenizer.fingerprint(),
        *made.pieces,
        (texts.name,),
        texts.languages,
        measured,
    )
