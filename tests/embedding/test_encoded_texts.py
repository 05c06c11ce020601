"""Texts and vectors come back from their temporary files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

from xformer.embedding.encoded_texts import EncodedTexts

TEXTS = ["one", "", "zwei\u2028\n", "שלום 🙂", "x" * 100_000]


def test_any_row_can_be_read_between_the_writing(rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((len(TEXTS), 3)).astype(np.float32)
    with EncodedTexts.temporary(3) as store:
        assert store.vectors().shape == (0, 3)
        for start in range(0, len(TEXTS), 2):
            store.add(TEXTS[start : start + 2], vectors[start : start + 2])
            for row in reversed(range(len(store))):
                assert store.text(row) == TEXTS[row]
            np.testing.assert_array_equal(store.vectors(), vectors[: len(store)])
        assert len(store) == len(TEXTS)
        assert isinstance(store.vectors(), np.memmap)


def test_a_full_disk_is_named(full_disk: Callable[..., AbstractContextManager[None]]) -> None:
    with EncodedTexts.temporary(100) as store, full_disk(4096):
        with pytest.raises(OSError, match="File too large") as caught:
            store.add(["text"] * 1000, np.ones((1000, 100), dtype=np.float32))
        assert caught.value.filename == tempfile.gettempdir()
