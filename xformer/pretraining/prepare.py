"""Preparation of a run's data: corpus, tokenizer and token shards, each made once in the run's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from xformer.data.corpus import Corpus, open_corpus
from xformer.data.embedded import is_embedded
from xformer.data.embedded.corpus import import_embedded
from xformer.data.import_plan import ImportOptions
from xformer.data.languages import find_language
from xformer.data.manifest import MANIFEST_NAME
from xformer.data.manifest_lines import joined_languages, kept_apart, rare_languages
from xformer.data.shard_index import ShardsInfo
from xformer.data.shard_writer import Sharding, write_shards
from xformer.data.shards import TokenShards
from xformer.data.split import SplitSizes
from xformer.errors import InputError
from xformer.pretraining.checks import StartChecks, check_start, require_sources
from xformer.pretraining.resolve import tokenizer_options, with_pivot, with_vocabulary
from xformer.pretraining.sampling_report import SamplingReport
from xformer.progress import Progress
from xformer.runs.config import DataConfig, RunConfig
from xformer.runs.directory import RunDirectory
from xformer.storage.checksummed import atomic_folder
from xformer.storage.files import atomic_write
from xformer.tokenizer import Tokenizer, TokenizerError, fit_tokenizer


def prepare(run: RunDirectory, config: RunConfig, progress: Progress) -> RunConfig:
    """Make the corpus, the tokenizer and the shards, unless they exist.

    Args:
        run: the run's folder.
        config: the run's settings.
        progress: where to report.

    Returns:
        The settings, with those that follow from the data (`xformer.pretraining.resolve`). The tokenizer is
        `run.tokenizer`, the shards are in `run.shards(split)`.

    Raises:
        InputError: the corpus is not available, has changed, or does not fit the settings.
    """
    corpus = _corpus(run, config.data, progress)
    require_same_corpus(run, corpus)
    checks, config = start_checks(run, config, corpus)
    for line in checks.lines():
        progress.say(line)
    checks.save(run.checks)
    with atomic_write(run.manifest, "wb") as file:
        file.write((corpus.folder / MANIFEST_NAME).read_bytes())
    try:
        tokenizer = _tokenizer(run, config, corpus, progress)
    except TokenizerError as error:
        raise InputError(str(error)) from error
    config = with_vocabulary(config, tokenizer.vocab_size)
    for split in ("train", "dev", "test"):
        if run.shards(split).is_dir():
            _check_shards(run, split, corpus, tokenizer, config.data)
            continue
        if (made := made_shards(config.data, split, corpus, tokenizer)) is not None:
            _link(made, run.shards(split))
            progress.say(f"{split}: using {made}")
            continue
        sharding = Sharding(corpus.folder, split, tokenizer, max_length=config.data.max_length)
        write_shards(sharding, run.shards(split), progress=progress)
    for line in SamplingReport.of(TokenShards.open(run.shards("train"), verify=False), config).lines():
        progress.say(line)
    return config


def start_checks(run: RunDirectory, config: RunConfig, corpus: Corpus) -> tuple[StartChecks, RunConfig]:
    """What is found before training, and the settings with a pivot that the corpus has.

    A run that has been checked with this pivot keeps what was found.

    Raises:
        InputError: as `check_start`, or as `require_sources`.
    """
    require_sources(corpus, config)
    found = StartChecks.load(run.checks) if run.manifest.is_file() else None
    if found is not None:
        pivot = find_language(corpus.manifest.languages, config.data.pivot) or found.pivot
        if pivot == found.pivot:
            return found, with_pivot(config, pivot)
    return check_start(corpus, config)


def open_shards(
    run: RunDirectory, split: str, tokenizer: Tokenizer, rank: int = 0, world: int = 1
) -> TokenShards:
    """The shards of a split, after their files were compared with their hashes.

    Args:
        run: the run's folder.
        split: `train`, `dev` or `test`.
        tokenizer: the tokenizer that encoded them.
        rank: this process's number, if several processes compare a share of the files each.
        world: number of processes.

    Raises:
        InputError: they are missing or damaged, or were encoded with another tokenizer.
    """
    return TokenShards.open(run.shards(split), fingerprint=tokenizer.fingerprint(), rank=rank, world=world)


def find_corpus(run: RunDirectory, config: DataConfig, *, verify: bool) -> Corpus | None:
    """The corpus of the settings; None for an embedded one that the run does not have yet.

    Args:
        run: the run's folder.
        config: the settings.
        verify: compare the hashes of all files; otherwise only their sizes.

    Raises:
        InputError: it is missing or damaged.
    """
    if not is_embedded(config.corpus):
        return open_corpus(config.corpus, verify)
    return open_corpus(run.corpus, verify) if run.corpus.is_dir() else None


def _corpus(run: RunDirectory, config: DataConfig, progress: Progress) -> Corpus:
    if not is_embedded(config.corpus):
        return open_corpus(config.corpus, verify=True)
    if run.corpus.is_dir():
        progress.say(f"corpus: reusing {run.corpus}")
        return open_corpus(run.corpus, verify=True)
    splits = SplitSizes(
        config.dev_groups, config.test_groups, config.held_out_languages, config.held_out_chars
    )
    options = ImportOptions(
        splits, min_language_records=config.min_language_texts, small_languages=config.small_languages
    )
    manifest = import_embedded(
        config.corpus, run.corpus, options, config.decontaminate, say=progress.say, progress=progress
    )
    for lines in (joined_languages, rare_languages, kept_apart):
        for line in lines(manifest):
            progress.say(line)
    return open_corpus(run.corpus)


def require_same_corpus(run: RunDirectory, corpus: Corpus) -> None:
    """Check that the corpus is the one that the run began with.

    Raises:
        InputError: it is another corpus.
    """
    manifest = (corpus.folder / MANIFEST_NAME).read_bytes()
    if run.manifest.is_file() and run.manifest.read_bytes() != manifest:
        raise InputError(
            f"{corpus.folder}: expected the corpus that this run began with ({run.manifest}); it has changed"
            " since. Start a new run for it"
        )


def given_tokenizer(config: RunConfig) -> Tokenizer | None:
    """The tokenizer of the settings; None if the run trains one.

    Raises:
        InputError: its vocabulary is larger than the model's.
        TokenizerError: it is missing or damaged.
    """
    if config.data.tokenizer is None:
        return None
    given = Tokenizer.load(config.data.tokenizer)
    rows = config.model.vocab_size
    if rows is not None and given.vocab_size > rows:
        raise InputError(
            f"{config.data.tokenizer}: has {given.vocab_size:,} pieces; expected at most"
            f" model.vocab_size={rows:,}"
        )
    return given


def _tokenizer(run: RunDirectory, config: RunConfig, corpus: Corpus, progress: Progress) -> Tokenizer:
    if run.tokenizer.is_file():
        progress.say(f"tokenizer: reusing {run.tokenizer}")
        return Tokenizer.load(run.tokenizer)
    if config.data.tokenizer is not None:
        given_tokenizer(config)
        with atomic_write(run.tokenizer, "wb") as file:
            file.write(Path(config.data.tokenizer).read_bytes())
        progress.say(f"tokenizer: using {config.data.tokenizer}")
        return Tokenizer.load(run.tokenizer)

    def texts() -> Iterator[tuple[str, str]]:
        return ((record.language, record.text) for record in corpus.records("train"))

    n_bytes = corpus.manifest.split("train").total.bytes
    options = tokenizer_options(config, n_bytes)
    made = fit_tokenizer(texts, options, run.tokenizer, progress=progress, say=progress.say)
    progress.say(f"tokenizer: {made.vocab_size:,} pieces, from {n_bytes / 1e6:,.1f} MB of text")
    return made


def _check_shards(
    run: RunDirectory, split: str, corpus: Corpus, tokenizer: Tokenizer, config: DataConfig
) -> None:
    shards = TokenShards.open(run.shards(split), fingerprint=tokenizer.fingerprint(), verify=False)
    expected = corpus.manifest.split(split).file.sha256
    if shards.info.split_sha256 != expected:
        raise InputError(
            f"{run.shards(split)}: made from another corpus than {corpus.folder}; remove the folder"
        )
    if config.sources and not shards.sources:
        raise InputError(
            f"{run.shards(split)}: made by an earlier version, which did not write the sources of texts, so"
            " data.sources cannot be applied; remove the folder, and it is made again"
        )


def made_shards(config: DataConfig, split: str, corpus: Corpus, tokenizer: Tokenizer) -> Path | None:
    """The shards of a split in the folder of the settings; None if the run makes them.

    Raises:
        InputError: they were made with other settings than the run's, or those of the training split are
            missing.
    """
    if config.shards is None:
        return None
    made = Path(config.shards) / split
    if made.is_dir():
        _require_made_for(made, split, corpus, tokenizer, config.max_length)
        return made
    if split == "train":
        raise InputError(
            f"{made}: missing; expected what `xformer data shard --out {made}` makes"
            " (with many workers: joined by --join)"
        )
    return None


def _require_made_for(made: Path, split: str, corpus: Corpus, tokenizer: Tokenizer, max_length: int) -> None:
    """Check that shards were made from the run's corpus with the run's settings."""
    info = ShardsInfo.read(made)
    sizes = {"max_length": max_length, "bytes_per_shard": info.bytes_per_shard}
    expected = Sharding(corpus.folder, split, tokenizer, **sizes).settings
    known = {"split_sha256": "data.corpus", "tokenizer": "data.tokenizer", "max_length": "data.max_length"}
    if difference := info.first_difference(expected):
        name, found, wanted = difference
        setting = f" (see {known[name]})" if name in known else ""
        raise InputError(f"{made}: made with {name}={found}, expected {wanted}{setting}")


def _link(made: Path, here: Path) -> None:
    """Link the files of a folder into a new folder, which appears complete or not at all."""
    with atomic_folder(here) as folder:
        for file in made.iterdir():
            try:
                os.link(file, folder / file.name)
            except OSError:  # another disk, or a file system without hard links
                (folder / file.name).symlink_to(file.resolve())
