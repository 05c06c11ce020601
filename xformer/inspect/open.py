"""`xformer.inspect.open`: a run, a model in memory or a Hugging Face folder as a subject."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from xformer.embedding.precision import device_of, prepare
from xformer.errors import InputError
from xformer.inspect.subject import Subject
from xformer.inspect.tokenised import tokens_of, tokens_of_huggingface
from xformer.interop.huggingface.folder import from_huggingface
from xformer.model.heads import PoolingKind
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.pretrained import open_pretrained
from xformer.runs.opening import Which


@runtime_checkable
class HasSubject(Protocol):
    """A model that can be looked into: `xformer.load`'s `Model`."""

    @property
    def subject(self) -> Subject:
        """The model under study."""


def open(
    source: str | os.PathLike[str] | HasSubject | Subject,
    *,
    checkpoint: Which = "newest",
    device: str | torch.device | None = None,
    dtype: str = "auto",
) -> Subject:
    """Open a model to look into it.

    >>> import xformer.inspect
    >>> subject = xformer.inspect.open("runs/demo")
    >>> subject.config.n_layers
    4

    Args:
        source: a run's folder; a folder of Hugging Face with `config.json`, `model.safetensors` and
            `tokenizer.json` (BERT, XLM-R, ModernBERT, and sentence-transformers' of these); or a `Model` of
            `xformer.load`.
        checkpoint: of a run: `newest`, `best` or a step.
        device: where to compute; None for a GPU if there is one.
        dtype: precision of matrix products, as in `xformer.load`.

    Raises:
        InputError: there is no such model, or it cannot be read; the message says what was found.
    """
    if isinstance(source, Subject):
        return source
    if not isinstance(source, str | os.PathLike):
        if isinstance(source, HasSubject):
            return source.subject
        raise InputError(f"source: expected a folder or a model of xformer.load, got {type(source).__name__}")
    path = Path(source)
    if (path / "config.json").is_file():
        if checkpoint != "newest":
            raise InputError(
                f"checkpoint: {path} is a model of Hugging Face, which has no checkpoints; got {checkpoint!r}"
            )
        return _huggingface(path, device, dtype)
    return _run(path, checkpoint, device, dtype)


def _run(path: Path, which: Which, device: str | torch.device | None, dtype: str) -> Subject:
    opened, place = open_pretrained(path, which), device_of(device)
    prepared = prepare(opened.network, dtype, place)
    return Subject(
        name=path.resolve().name,
        network=prepared.model,
        tokens=tokens_of(opened.tokenizer),
        device=place,
        computing=prepared.computing,
        max_length=opened.settings.max_length,
        languages=opened.languages,
        layer=None if opened.layer is None else opened.layer.layer,
        pools_final=opened.settings.cuts,
        has_masked_lm=opened.masked_lm_gap is None,
    )


def _huggingface(path: Path, device: str | torch.device | None, dtype: str) -> Subject:
    """A folder of Hugging Face. Its sentence vectors are pooled as its `1_Pooling/config.json` says."""
    tokens = tokens_of_huggingface(path)
    found = from_huggingface(path)
    place = device_of(device)
    if tokens.vocab_size > found.config.rows:
        raise InputError(
            f"{path}: tokenizer.json has {tokens.vocab_size:,} pieces, the model {found.config.rows:,} rows"
        )
    with torch.device("meta"):
        network = MultilingualModel(found.config, _pooling(path))
    network.encoder = found.encoder
    if found.head is None:
        network.masked_lm.to_empty(device="cpu").requires_grad_(False)  # never asked: has_masked_lm is False
    else:
        network.masked_lm = found.head
    prepared = prepare(network.eval(), dtype, place)
    return Subject(
        name=path.resolve().name,
        network=prepared.model,
        tokens=tokens,
        device=place,
        computing=prepared.computing,
        max_length=found.config.max_length,
        layer=found.config.n_layers,
        pools_final=True,
        has_masked_lm=found.head is not None,
    )


def _pooling(path: Path) -> PoolingKind:
    """`first` where a sentence-transformers folder says so, otherwise `mean`."""
    file = path / "1_Pooling" / "config.json"
    if not file.is_file():
        return "mean"
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        first, mean = (
            fields.get("pooling_mode_cls_token", False),
            fields.get("pooling_mode_mean_tokens", False),
        )
    except (ValueError, AttributeError) as error:
        raise InputError(f"{file}: expected a JSON object: {error}") from error
    if bool(first) == bool(mean):
        raise InputError(f"{file}: expected pooling by the first token or by the mean, got {fields}")
    return "first" if first else "mean"
