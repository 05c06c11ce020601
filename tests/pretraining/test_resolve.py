"""Settings that follow from a run's data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from xformer.errors import InputError
from xformer.pretraining.resolve import (
    resolve_from_run,
    tokenizer_options,
    with_pivot,
    with_rows,
    with_vocabulary,
)
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory

Begin = Callable[[RunConfig], RunDirectory]


def test_open_sizes_become_the_number_of_pieces() -> None:
    config = with_vocabulary(RunConfig(), 500)
    assert (config.model.vocab_size, config.tokenizer.vocabulary_size) == (500, 500)
    given = replace(RunConfig(), data=replace(RunConfig().data, tokenizer="mine.model"))
    assert with_vocabulary(given, 500).tokenizer == given.tokenizer


def test_a_model_may_have_more_rows_and_not_fewer() -> None:
    config = with_vocabulary(with_rows(RunConfig(), 600), 500)
    assert config.model.vocab_size == 600
    with pytest.raises(InputError, match=r"model\.vocab_size: expected at least 601 rows"):
        with_vocabulary(config, 601)


def test_the_rows_bound_the_vocabulary() -> None:
    config = RunConfig()
    assert tokenizer_options(config, 10**9) == config.tokenizer
    assert tokenizer_options(with_rows(config, 4_000), 10**9).vocabulary_size == 4_000
    assert tokenizer_options(with_rows(config, 4_000), 10_000).vocabulary_size == 262 + 10_000 // 128
    asked = replace(config, tokenizer=replace(config.tokenizer, vocabulary_size=900))
    assert tokenizer_options(with_rows(asked, 4_000), 10**9).vocabulary_size == 900


def test_a_call_takes_what_the_run_has_resolved(config: RunConfig, begin: Begin, tmp_path: Path) -> None:
    left_open = replace(with_rows(config, None), tokenizer=replace(config.tokenizer, vocabulary_size=None))
    assert resolve_from_run(RunDirectory(tmp_path / "new"), left_open) == left_open
    run = begin(config)
    assert resolve_from_run(run, left_open) == config
    assert resolve_from_run(run, with_rows(left_open, 900)) == with_rows(config, 900)
    run.tokenizer.unlink()
    assert resolve_from_run(run, left_open) == left_open


@pytest.mark.parametrize(("given", "found"), [("eng", "en"), ("deu", "de"), ("Greek", "el"), ("xx", "de")])
def test_a_pivot_is_the_corpus_s_own_tag_or_the_one_that_replaced_it(
    config: RunConfig, begin: Begin, given: str, found: str
) -> None:
    run = begin(with_pivot(config, "de"))
    assert resolve_from_run(run, with_pivot(config, given)).data.pivot == found
