"""A classifier of texts as a torch module that takes padded ids and labels, for a training loop of one's own.

Shapes: B texts, T tokens of the longest, N classes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.auto.tokenizer import save_tokenizer
from xformer.errors import InputError
from xformer.finetuning.base import base_of, fitted_to, new_model
from xformer.finetuning.config import ClassifierConfig, FinetuningConfig
from xformer.finetuning.inputs.texts import TokenTexts
from xformer.finetuning.load import open_finetuned
from xformer.finetuning.model import FinetunedModel
from xformer.pretraining.pretrained import open_text_tokenizer
from xformer.runs.checkpoint import TrainingState, save_weights
from xformer.runs.copied_tokenizer import settings_files, write_settings
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.kind import CLASSIFICATION, settle_task, task_of
from xformer.storage.checksummed import atomic_folder
from xformer.storage.toml import save_toml
from xformer.tokenizer.interface import TextTokenizer


@dataclass(frozen=True)
class ClassifierOutput:
    """What a classifier gives.

    Attributes:
        logits: (B, N).
        loss: a scalar; None without labels.
    """

    logits: Tensor
    loss: Tensor | None = None


class AutoModelForSequenceClassification(nn.Module):
    """An encoder of a run with a classification head. Made by `from_pretrained`.

    The padding of a batch is taken out before anything is computed. Of a text with more tokens than the
    encoder reads at once the parts are pooled together.

    Attributes:
        classifier: the model that computes; see `xformer.finetuning.model.FinetunedModel`.
        tokenizer: of the run.
        labels: names of the N classes, by number.
    """

    def __init__(
        self, classifier: FinetunedModel, tokenizer: TextTokenizer, files: Mapping[str, bytes] | None = None
    ) -> None:
        super().__init__()
        self._files = dict(files or {})
        self.classifier, self.tokenizer = classifier, tokenizer
        self.labels = classifier.config.classifier.labels

    @classmethod
    def from_pretrained(
        cls,
        path: str | os.PathLike[str],
        *,
        num_labels: int | None = None,
        id2label: Mapping[int, str] | None = None,
    ) -> AutoModelForSequenceClassification:
        """The encoder of a run with a head.

        Args:
            path: a run. One of `xformer finetune`, or of `save_pretrained`, has a head that was trained; over
                the encoder of any other there is a new one, with weights from torch's global generator.
            num_labels: N, for a new head; 2 where neither this nor `id2label` says it.
            id2label: name of each class, by number.

        Raises:
            InputError: there is no run, or its labels are others than those asked for.
        """
        run = find_run(path)
        if task_of(run) == CLASSIFICATION:
            opened = open_finetuned(path)
            if (example := opened.config.classifier.example) != "text":
                raise InputError(f"{path}: expected a run that classifies texts, it is one for {example}")
            found = cls(opened.model, opened.tokenizer, settings_files(run)).eval()
            asked = _names(num_labels or len(found.labels), id2label)
            if len(asked) != len(found.labels) or (id2label is not None and asked != found.labels):
                raise InputError(
                    f"{path}: expected its labels, {', '.join(found.labels)}, got {', '.join(asked)}"
                )
            return found
        base, model = base_of(path, run.path / "none")
        labels = _names(2 if num_labels is None and id2label is None else num_labels, id2label)
        try:
            settings = ClassifierConfig(labels)
        except ValueError as error:
            raise InputError(str(error)) from error
        config = FinetuningConfig(base, model, fitted_to(base, settings))
        # Nothing but the head is drawn; a seed set before decides it, as torch users expect.
        drawn = int(torch.randint(2**31, ()))
        config = replace(config, training=replace(config.training, seed=drawn))
        with torch.random.fork_rng(devices=[]):
            classifier = new_model(config)
        return cls(classifier, open_text_tokenizer(run), settings_files(run)).eval()

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, labels: Tensor | None = None
    ) -> ClassifierOutput:
        """Logits of texts, and the loss where labels are given.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T), 1 for tokens, 0 for padding; without it `pad_token_id` is padding.
            labels: (B,) int64 numbers of classes, for cross-entropy; (B, N) floats, for a binary
                cross-entropy of each class.

        Raises:
            InputError: shapes do not fit.
        """
        if input_ids.ndim != 2:
            raise InputError(f"input_ids: expected shape (texts, tokens), got {tuple(input_ids.shape)}")
        mask = input_ids != self.tokenizer.pad_id if attention_mask is None else attention_mask.bool()
        if mask.shape != input_ids.shape:
            raise InputError(
                f"attention_mask: expected shape {tuple(input_ids.shape)}, got {tuple(mask.shape)}"
            )
        longest, base = int(mask.sum(dim=1).max()) if mask.numel() else 0, self.classifier.config.base
        if base.family != "own" and longest > base.max_length:
            raise InputError(
                f"input_ids: expected at most {base.max_length} tokens, got {longest}; truncation=True"
                " has the tokenizer cut"
            )
        texts = TokenTexts(
            input_ids[mask].cpu().numpy().astype(np.int32),
            mask.sum(dim=1).cpu().numpy(),
            base.max_length,
        )
        logits = self.classifier(texts.batch(np.arange(len(texts))).to(input_ids.device))
        return ClassifierOutput(logits, None if labels is None else _loss(logits, labels))

    @property
    def id2label(self) -> dict[int, str]:
        """Names of the classes, by number."""
        return dict(enumerate(self.labels))

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the classifier as a run, with its tokenizer; `xformer.load`, `xformer classify` and `xformer
        export hf` take it.

        Args:
            folder: new, or empty, or with the tokenizer alone.

        Raises:
            InputError: the folder has other files.
        """
        place = RunDirectory(Path(folder))
        # That of `AutoTokenizer.save_pretrained` is written again.
        names = [path.name for path in place.path.iterdir()] if place.path.is_dir() else []
        if names == [place.tokenizer.name]:
            place.tokenizer.unlink()
        elif names == [place.tokenizer_folder.name]:
            shutil.rmtree(place.tokenizer_folder)
        with atomic_folder(folder) as scratch:
            run = RunDirectory(scratch)
            settle_task(run, CLASSIFICATION)
            # Its weights are no longer those that were imported.
            save_toml(run.config, replace(self.classifier.config, source=None))
            save_tokenizer(self.tokenizer, run)
            write_settings(run, self._files)
            save_weights(run.checkpoints, self.classifier, TrainingState())


def _names(n_labels: int | None, id2label: Mapping[int, str] | None) -> tuple[str, ...]:
    """The names of the classes; those of transformers where there are none.

    Raises:
        InputError: the two arguments do not fit one another.
    """
    if id2label is None:
        return tuple(f"LABEL_{number}" for number in range(n_labels or 0))
    if sorted(id2label) != list(range(n_labels or len(id2label))):
        raise InputError(f"id2label: expected a name for each of 0 to {(n_labels or len(id2label)) - 1}")
    return tuple(id2label[number] for number in range(len(id2label)))


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    if labels.is_floating_point():
        if labels.shape != logits.shape:
            raise InputError(f"labels: expected shape {tuple(logits.shape)}, got {tuple(labels.shape)}")
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    if labels.shape != logits.shape[:1]:
        raise InputError(f"labels: expected shape ({len(logits)},), got {tuple(labels.shape)}")
    return F.cross_entropy(logits, labels)
