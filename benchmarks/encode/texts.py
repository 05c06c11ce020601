"""The texts that are encoded, and the tokenizer: of a run, or of a file of lines."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from xformer.data.readers.lines import read_lines
from xformer.errors import InputError
from xformer.pretraining.load import open_tokenizer
from xformer.pretraining.prepare import open_shards
from xformer.runs.find import find_run
from xformer.tokenizer import Tokenizer, TokenizerError, TokenizerOptions, train_tokenizer
from xformer.tokenizer.special import SMALLEST_VOCABULARY

MOST_LINES = 200_000
_PIECES = 16_384


def texts_of_run(path: Path, count: int) -> tuple[list[str], Tokenizer]:
    """Some held-out texts of a run, drawn at random, and its tokenizer.

    Raises:
        InputError: there is no run, or it has no held-out texts.
    """
    run = find_run(path)
    tokenizer = open_tokenizer(run)
    shards = open_shards(run, "test", tokenizer)
    if not len(shards):
        raise InputError(f"{path}: expected a run with held-out texts, its test split is empty")
    drawn = np.random.default_rng(0).permutation(len(shards))[:count]
    return [tokenizer.decode(ids) for ids in shards.take(np.sort(drawn))], tokenizer


def texts_of_file(path: Path, count: int, tokenizer: Path | None) -> tuple[list[str], Tokenizer]:
    """Some lines of a file, drawn at random, and a tokenizer.

    Args:
        path: UTF-8, plain or compressed, a text a line; its first 200,000 lines are read.
        count: most texts.
        tokenizer: of our own; None to train one on these lines, of at most 16,384 pieces.

    Raises:
        InputError: the file is missing or empty, or the tokenizer cannot be read or trained.
    """
    lines = _lines(path)
    try:
        found = Tokenizer.load(tokenizer) if tokenizer else _train(lines)
    except TokenizerError as error:
        raise InputError(f"--text {path}: {error}") from error
    return _drawn(lines, count), found


def lines_of_file(path: Path, count: int) -> list[str]:
    """The same lines, for a model that has its tokenizer."""
    return _drawn(_lines(path), count)


def _lines(path: Path) -> list[str]:
    lines = [line for line in islice(read_lines(path), MOST_LINES) if line.strip()]
    if not lines:
        raise InputError(f"{path}: expected a text a line, got no text")
    return lines


def _drawn(lines: list[str], count: int) -> list[str]:
    drawn = np.random.default_rng(0).permutation(len(lines))[:count]
    return [lines[i] for i in np.sort(drawn)]


def _train(lines: list[str]) -> Tokenizer:
    pieces = _PIECES
    while True:
        try:
            options = TokenizerOptions(vocabulary_size=pieces, sample_bytes=2**20)
            return train_tokenizer([("und", line) for line in lines], options)
        except TokenizerError:
            if pieces <= SMALLEST_VOCABULARY:
                raise
            # The text is too little for so many pieces.
            pieces = max(pieces * 3 // 4, SMALLEST_VOCABULARY)
