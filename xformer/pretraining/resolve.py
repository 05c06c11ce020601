"""Settings that follow from a run's data: the rows of the embedding, the size of the vocabulary, the pivot.

They are resolved once, when the data is there, and written into the run's config.toml. So all later commands
find numbers and a tag that fit the run, and a call that leaves a setting open agrees with what was resolved.
"""

from __future__ import annotations

from dataclasses import replace

from xformer.data.languages import find_language
from xformer.data.manifest import Manifest
from xformer.errors import InputError
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.tokenizer import TokenizerOptions, suitable_vocabulary


def resolve_from_run(run: RunDirectory, config: RunConfig) -> RunConfig:
    """The settings of a call, with what the run at hand has resolved already.

    Args:
        run: a run, or a folder without one.
        config: settings of the call. What they leave open becomes what the run has; so does a pivot that the
            run's corpus does not have: it was replaced when the run began.

    Raises:
        InputError: the run's settings or manifest are damaged.
    """
    if not run.config.is_file():
        return config
    begun = run.load_config()
    has_tokenizer = run.tokenizer.is_file()
    if has_tokenizer and config.model.vocab_size is None:
        config = with_rows(config, begun.model.vocab_size)
    if has_tokenizer and config.tokenizer.vocabulary_size is None:
        pieces = begun.tokenizer.vocabulary_size
        config = replace(config, tokenizer=replace(config.tokenizer, vocabulary_size=pieces))
    if run.manifest.is_file():
        found = find_language(Manifest.read(run.path).languages, config.data.pivot)
        config = with_pivot(config, found or begun.data.pivot)
    return config


def with_rows(config: RunConfig, rows: int | None) -> RunConfig:
    """The settings with this number of rows in the embedding."""
    return replace(config, model=replace(config.model, vocab_size=rows))


def with_pivot(config: RunConfig, pivot: str) -> RunConfig:
    """The settings with this pivot language."""
    return replace(config, data=replace(config.data, pivot=pivot))


def with_vocabulary(config: RunConfig, pieces: int) -> RunConfig:
    """The settings after the tokenizer is known: sizes that were left open become the number of its pieces.

    Args:
        config: the settings.
        pieces: number of pieces of the tokenizer.

    Raises:
        InputError: the model has fewer rows than that.
    """
    rows = config.model.vocab_size
    if rows is None:
        config = with_rows(config, pieces)
    elif pieces > rows:
        raise InputError(
            f"model.vocab_size: expected at least {pieces:,} rows, one for each piece of the tokenizer, got"
            f" {rows:,}"
        )
    if config.tokenizer.vocabulary_size is None and config.data.tokenizer is None:
        config = replace(config, tokenizer=replace(config.tokenizer, vocabulary_size=pieces))
    return config


def tokenizer_options(config: RunConfig, train_bytes: int) -> TokenizerOptions:
    """How a run trains its tokenizer: a model with fewer rows than that bounds the number of pieces.

    Args:
        config: the settings.
        train_bytes: UTF-8 bytes of the training split.
    """
    options, rows = config.tokenizer, config.model.vocab_size
    if rows is None:
        return options
    asked = options.vocabulary_size or suitable_vocabulary(train_bytes)
    return replace(options, vocabulary_size=min(asked, rows))
