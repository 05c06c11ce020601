"""The tokenizer of a run as a function from texts to padded tensors.

Shapes: B texts, T tokens of the longest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from xformer.embedding.checked import check, check_one
from xformer.errors import InputError
from xformer.finetuning.config import FinetuningConfig
from xformer.pretraining.pretrained import open_text_tokenizer
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.imported import ImportedConfig
from xformer.runs.kind import CLASSIFICATION, IMPORTED, task_of
from xformer.storage.files import atomic_write
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.interface import TextTokenizer


class Encoding(dict[str, Any]):
    """`input_ids` and `attention_mask`, as lists or as tensors (B, T); also attributes."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(f"Encoding has no {name!r}; it has {', '.join(self)}")
        return self[name]

    def to(self, device: str | torch.device) -> Encoding:
        """The same, with its tensors on another device."""
        return Encoding({k: v.to(device) if isinstance(v, Tensor) else v for k, v in self.items()})


class AutoTokenizer:
    """Texts to token ids as a model of a run takes them. Made by `from_pretrained`.

    Ids are those of `xformer.load(RUN).tokenizer.encode_masked`: `<mask>` in a text is the mask. A run of
    xformer pretrain has no `<s>` and no `</s>`, since training had none; around a text for an imported model
    are the special tokens that it wants, which stay when a text is cut.

    Attributes:
        tokenizer: that of the run.
        model_max_length: tokens after which `truncation=True` cuts.
        pad_token_id: what fills rows up.
        mask_token_id: the mask; None where an imported tokenizer has none.
    """

    def __init__(self, tokenizer: TextTokenizer, model_max_length: int) -> None:
        self.tokenizer, self.model_max_length = tokenizer, model_max_length
        self.pad_token_id, self.mask_token_id = tokenizer.pad_id, tokenizer.mask_id

    @classmethod
    def from_pretrained(cls, path: str | os.PathLike[str]) -> AutoTokenizer:
        """The tokenizer of a run.

        Raises:
            InputError: there is no run, or its tokenizer is missing or damaged.
        """
        run = find_run(path)
        return cls(open_text_tokenizer(run), _max_length(run))

    def __len__(self) -> int:
        return self.tokenizer.vocab_size

    def __call__(
        self,
        text: str | Iterable[str],
        *,
        padding: bool | Literal["longest", "max_length"] = False,
        truncation: bool = False,
        max_length: int | None = None,
        return_tensors: Literal["pt"] | None = None,
    ) -> Encoding:
        """Token ids of one text or of several.

        Args:
            text: one text, or B.
            padding: fill up with `<pad>` at the end, to the longest text (True) or to `max_length`.
            truncation: cut after `max_length` tokens.
            max_length: `model_max_length` where it is left out.
            return_tensors: `pt` for tensors, which one text and texts of equal length alone can be without
                padding; None for lists.

        Returns:
            `input_ids` and `attention_mask`, 1 for tokens and 0 for padding; of one text rows, of one text as
            tensors (1, T).

        Raises:
            InputError: a text is no string or no Unicode, an argument is unknown, or rows of different
                lengths cannot be a tensor.
        """
        if return_tensors not in (None, "pt"):
            raise InputError(f"return_tensors: expected 'pt' or None, got {return_tensors!r}")
        if padding not in (False, True, "longest", "max_length"):
            raise InputError(f"padding: expected True, False, 'longest' or 'max_length', got {padding!r}")
        limit = self.model_max_length if max_length is None else max_length
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise InputError(f"max_length: expected a whole number from 1, got {max_length!r}")
        one = isinstance(text, str)
        rows = [self.tokenizer.encode_masked(part).tolist() for part in _texts(text)]
        if truncation:
            rows = [self._cut(row, limit) for row in rows]
        masks = [[1] * len(row) for row in rows]
        if padding:
            width = limit if padding == "max_length" else max(map(len, rows), default=0)
            rows = [row + [self.pad_token_id] * (width - len(row)) for row in rows]
            masks = [mask + [0] * (width - len(mask)) for mask in masks]
        if return_tensors is None:
            return Encoding(input_ids=rows[0] if one else rows, attention_mask=masks[0] if one else masks)
        if len(set(map(len, rows))) > 1:
            raise InputError(
                "return_tensors: texts of different lengths are no tensor; expected padding=True"
            )
        return Encoding(input_ids=_tensor(rows), attention_mask=_tensor(masks))

    def decode(self, ids: Sequence[int] | Tensor) -> str:
        """The text of ids; padding and masks are no text."""
        return self.tokenizer.decode(ids.tolist() if isinstance(ids, Tensor) else ids)

    def batch_decode(self, rows: Iterable[Sequence[int] | Tensor]) -> list[str]:
        """The texts of rows of ids."""
        return [self.decode(row) for row in rows]

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the tokenizer into a folder; that of a model has it, too."""
        save_tokenizer(self.tokenizer, RunDirectory(Path(folder)))

    def _cut(self, row: list[int], limit: int) -> list[int]:
        """At most `limit` ids of a row, the special tokens behind a text among them."""
        behind = list(self.tokenizer.suffix)
        return row if len(row) <= limit else row[: max(0, limit - len(behind))] + behind[:limit]


def save_tokenizer(tokenizer: TextTokenizer, run: RunDirectory) -> None:
    """Write a tokenizer where a run has it."""
    if isinstance(tokenizer, Tokenizer):
        tokenizer.save(run.tokenizer)
        return
    run.tokenizer_folder.mkdir(parents=True, exist_ok=True)
    for name, content in tokenizer.files().items():
        with atomic_write(run.tokenizer_folder / name, "wb") as file:
            file.write(content)


def _max_length(run: RunDirectory) -> int:
    """Longest sequence that the model of a run reads at once, in tokens."""
    if task_of(run) == CLASSIFICATION:
        finetuned = run.load_config(FinetuningConfig)
        return min(finetuned.base.max_length, finetuned.model.max_length)
    if task_of(run) == IMPORTED:
        return run.load_config(ImportedConfig).vectors.max_length
    config = run.load_config(RunConfig)
    return min(config.data.max_length, config.model.max_length)


def _texts(text: str | Iterable[str]) -> list[str]:
    if isinstance(text, str):
        check_one(text, "text")
        return [text]
    found = list(text)
    check(found, 0)
    return found


def _tensor(rows: list[list[int]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), len(rows[0]) if rows else 0)
