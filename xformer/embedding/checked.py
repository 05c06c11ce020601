"""What counts as texts: strings, in anything that has an order. All else is refused, and its place named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Any

import numpy as np

from xformer.errors import InputError
from xformer.tokenizer.errors import TokenizerError, utf8_length

_AT_ONCE = 1024
"""Texts that are taken from an iterator and checked together."""


def as_texts(texts: Any) -> Iterable[str]:
    """The texts as a list or an iterator, in their order; a list is checked whole, before any work.

    Args:
        texts: a list, tuple, array or column of strings, or an iterator of them.

    Raises:
        InputError: it is bytes, a mapping, a set or a table, which have no order of texts, or no iterable; or
            an item of a sequence is not a string, or holds a lone surrogate: the index is named.
    """
    expected = "texts: expected a string, or a list or iterator of strings"
    if isinstance(texts, np.ndarray):
        if texts.ndim != 1:
            raise InputError(f"{expected}; got an array of {texts.ndim} dimensions")
        texts = texts.tolist()
    if isinstance(texts, bytes | bytearray | memoryview):
        raise InputError(
            f"{expected}; got {type(texts).__name__}: decode it first, as in texts.decode('utf-8')"
        )
    if isinstance(texts, Mapping | Set) or hasattr(texts, "columns"):
        raise InputError(f"{expected}; got {type(texts).__name__}: name the column or the order you mean")
    if isinstance(texts, Sequence):
        check(texts, 0)
        return texts
    if not isinstance(texts, Iterable):
        raise InputError(f"{expected}; got {_shown(texts)}")
    return texts


def check(texts: Sequence[Any], first: int, name: str = "texts") -> None:
    """Check that all items are strings that have a UTF-8 form.

    Args:
        texts: the items.
        first: index of the first of them in what the user gave.
        name: what errors call it.

    Raises:
        InputError: one is not; the index is named.
    """
    for index, text in enumerate(texts, first):
        if not isinstance(text, str):
            decode = "; decode it first" if isinstance(text, bytes) else ""
            raise InputError(f"{name}[{index}]: expected a string, got {_shown(text)}{decode}")
        if not text.isascii():
            check_one(text, f"{name}[{index}]")


def check_one(text: str, name: str) -> None:
    """Check that a text has a UTF-8 form.

    Raises:
        InputError: it holds a lone surrogate.
    """
    try:
        utf8_length(text)
    except TokenizerError as error:
        raise InputError(f"{name}: {str(error).removeprefix('text: ')}") from None


def buffers(texts: Iterable[str], most_texts: int, most_chars: int) -> Iterator[list[str]]:
    """Divide texts into lists, in order, none of them empty; an iterator is read as the lists are asked for.

    Args:
        texts: from `as_texts`.
        most_texts: in a list.
        most_chars: in a list, but for what the last step of reading adds.

    Raises:
        InputError: an item of an iterator is not a string, or holds a lone surrogate: the index is named.
    """
    iterator, done, known = iter(texts), 0, isinstance(texts, Sequence)
    step = min(_AT_ONCE, most_texts)
    while True:
        found: list[str] = []
        chars = 0
        while len(found) + step <= most_texts and chars < most_chars:
            items = list(islice(iterator, step))
            if not known:
                check(items, done + len(found))
            found += items
            chars += sum(map(len, items))
            if len(items) < step:
                break
        if not found:
            return
        yield found
        done += len(found)


def _shown(value: object) -> str:
    shown = repr(value)
    shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
    return shown if value is None else f"{shown} ({type(value).__name__})"
