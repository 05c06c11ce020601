"""The texts of the bench, tokenised once for all sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xformer.data.labelled import LabelFields, check_columns_mean_classes, commonest_labels, read_labelled
from xformer.pretraining.load import open_tokenizer
from xformer.runs.find import find_run

from .worker import Job


def job_of(
    run: Path, paths: Sequence[Path], text: str, label: str, *, max_tokens: int, **options: Any
) -> Job:
    """Read and tokenise texts for the shape of a run's model.

    Args:
        run: the run's folder.
        paths: files of labelled texts.
        text: the field with the text.
        label: the field with the label.
        max_tokens: of a text that are kept.
        options: the other fields of `Job`.

    Raises:
        InputError: there is no run, or the texts cannot be read.
    """
    fields = LabelFields(text, label)
    opened = find_run(run)
    config, tokenizer = opened.load_config(), open_tokenizer(opened)
    found = read_labelled(paths, fields)
    check_columns_mean_classes(found, fields)
    labels = commonest_labels(found, None)
    rows = tokenizer.encode_batch([one.text for one in found])
    return Job(
        side="xformer",
        model=config.model,
        texts=tuple(tuple(row[:max_tokens].tolist()) or (0,) for row in rows),
        labels=tuple(labels.index(one.labels[0]) for one in found),
        n_classes=len(labels),
        max_tokens=max_tokens,
        **options,
    )
