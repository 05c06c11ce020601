"""`xformer data import | shard | stats`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from xformer.cli.formats import Format, records

if TYPE_CHECKING:
    from xformer.data.decontaminate import Decontaminator
    from xformer.data.readers import Fields, ParallelFields


@dataclass(frozen=True)
class DataImport:
    """Make a corpus of files: records joined to groups, split by group, duplicates removed, a manifest with
    hashes.

    xformer data import moses train.de train.en --out corpora/captions --licence CC-BY-4.0

    xformer data import jsonl train.de.jsonl.gz train.en.jsonl.gz --text-field description --group-field id
    --out corpora/packages --licence various
    """

    format: tyro.conf.Positional[Format]
    """Format of the files."""
    files: tyro.conf.Positional[tuple[Path, ...]]
    """The files, in the order the format wants."""
    out: Path
    """Folder to make."""
    licence: str
    """Licence of the text, as an SPDX expression or a sentence."""
    languages: tuple[str, ...] = ()
    """Languages of the files, where their names do not say; for tatoeba and tmx: the only ones to take."""
    dev: float = 0.01
    """Held-out groups for choices made while training: a number, or a share below 1."""
    test: float = 0.01
    """Held-out groups to evaluate on: a number, or a share below 1."""
    held_out_languages: int = 1
    """A held-out group is in at least so many languages."""
    min_language_texts: int = 1
    """Languages with fewer texts are left out."""
    decontaminate: tuple[Path, ...] = ()
    """Corpora (made by this command) of test sets: what overlaps any of their texts is left out."""
    seed: int = 0
    """Decides which groups are held out."""
    text_field: str = "text"
    """For tsv, jsonl, parquet: the field with the text."""
    language_field: str | None = None
    """And with its language, if the rows say."""
    group_field: str | None = None
    """And what translations of one another share."""
    id_field: str | None = None
    """And each row's own name."""
    label_field: str | None = None
    """And its class."""
    parallel: tuple[str, ...] = ()
    """Instead of --text-field: fields with one language each, as FIELD=LANGUAGE."""
    paragraphs: bool = False
    """For text: a record for each paragraph, not each line."""

    def run_command(self) -> int:
        """Import; the exit status."""
        from xformer.data.corpus import import_corpus
        from xformer.data.import_plan import ImportOptions
        from xformer.data.manifest import Source
        from xformer.data.split import SplitSizes
        from xformer.errors import InputError
        from xformer.progress import Progress

        try:
            sizes = SplitSizes(dev=self.dev, test=self.test, min_languages=self.held_out_languages)
            options = ImportOptions(
                splits=sizes, seed=self.seed, min_language_records=self.min_language_texts
            )
            fields = self._fields()
            sources = [Source.of(path, self.licence) for path in self.files]
            decontaminator = self._decontaminator()
        except ValueError as error:
            raise InputError(str(error)) from error
        stream = records(
            self.format, self.files, languages=self.languages, fields=fields, paragraphs=self.paragraphs
        )
        with Progress() as progress:
            manifest = import_corpus(
                stream, self.out, options, sources, decontaminator=decontaminator, progress=progress
            )
            for name, split in manifest.splits.items():
                progress.say(f"{name}: {split.total.records:,} texts in {split.groups:,} groups")
        return 0

    def _decontaminator(self) -> Decontaminator | None:
        from xformer.data.corpus import open_corpus
        from xformer.data.decontaminate import Decontaminator, TestSet

        if not self.decontaminate:
            return None
        corpora = [open_corpus(folder) for folder in self.decontaminate]
        return Decontaminator(
            [
                TestSet(corpus.folder.name, chain.from_iterable(map(corpus.records, corpus.manifest.splits)))
                for corpus in corpora
            ]
        )

    def _fields(self) -> Fields | ParallelFields:
        from xformer.data.readers import Fields, ParallelFields

        if self.parallel:
            texts = {}
            for item in self.parallel:
                field, equals, language = item.partition("=")
                if not equals:
                    raise ValueError(f"--parallel: expected FIELD=LANGUAGE, got {item!r}")
                texts[field] = language
            return ParallelFields(texts, group=self.group_field, id=self.id_field, label=self.label_field)
        return Fields(
            text=self.text_field,
            language=self.language_field,
            group=self.group_field,
            id=self.id_field,
            label=self.label_field,
        )


@dataclass(frozen=True)
class DataStats:
    """What is in a corpus: texts, characters, lengths, scripts, duplicates, for each language and split.

    xformer data stats corpora/captions

    xformer data stats runs/demo/corpus --json
    """

    corpus: tyro.conf.Positional[Path]
    """Folder made by `xformer data import`, or a run's `corpus`."""
    json: bool = False
    """Print one JSON object."""

    def run_command(self) -> int:
        """Count; the exit status."""
        from xformer.data.statistics import corpus_statistics
        from xformer.progress import Progress

        with Progress() as progress:
            statistics = corpus_statistics(self.corpus, progress=progress)
        tables = "\n\n".join(statistics.table(split) for split in statistics.splits)
        print(statistics.to_json() if self.json else tables)
        return 0


@dataclass(frozen=True)
class DataShard:
    """Encode a split of a corpus into token shards, alone or as one of many workers.

    xformer data shard corpora/captions mine.model --out shards/train

    As a job array, each job with its own I from 0 to 99, in any order, repeated where one failed:
    xformer data shard corpora/captions mine.model --out shards/train --worker I --of 100
    and once they are done: xformer data shard corpora/captions mine.model --out shards/train --join

    Workers share a file system and nothing else. However many there are, the bytes are the same.
    """

    corpus: tyro.conf.Positional[Path]
    """Folder made by `xformer data import`."""
    tokenizer: tyro.conf.Positional[Path]
    """SentencePiece model, as made by `xformer tokenizer train`."""
    out: Path
    """Folder to make; until they are joined, the workers' shards lie beside it, in OUT.parts."""
    split: Literal["train", "dev", "test"] = "train"
    """Which texts."""
    worker: int | None = None
    """Make only every --of'th shard, beginning with this number, from 0."""
    of: int = 1
    """How many workers there are."""
    join: bool = False
    """Put together what the workers made."""
    max_length: int = 128
    """Longest example, in tokens; longer texts are cut into pieces."""
    bytes_per_shard: int = 1 << 28
    """Where a shard ends, in bytes of text. There should be several for each worker."""

    def run_command(self) -> int:
        """Encode; the exit status."""
        from functools import partial

        from xformer.data.shard_parts import join_shards, write_shard_parts
        from xformer.data.shard_writer import write_shards
        from xformer.errors import InputError
        from xformer.progress import Progress
        from xformer.tokenizer import Tokenizer, TokenizerError

        if self.join and self.worker is not None:
            raise InputError("--worker, --join: expected one of the two: workers first, then join")
        if self.worker is None and self.of != 1:
            raise InputError(f"--of: expected --worker, from 0 to {self.of - 1}, beside it")
        try:
            tokenizer = Tokenizer.load(self.tokenizer)
            with Progress() as progress:
                if self.worker is not None:
                    made = write_shard_parts(
                        self.corpus,
                        self.split,
                        tokenizer,
                        self.out,
                        worker=self.worker,
                        of=self.of,
                        max_length=self.max_length,
                        bytes_per_shard=self.bytes_per_shard,
                        progress=progress,
                        say=progress.say,
                    )
                    progress.say(f"worker {self.worker} of {self.of}: {made} shards made")
                    return 0
                write = join_shards if self.join else partial(write_shards, progress=progress)
                info = write(
                    self.corpus,
                    self.split,
                    tokenizer,
                    self.out,
                    max_length=self.max_length,
                    bytes_per_shard=self.bytes_per_shard,
                )
                tokens = sum(shard.tokens for shard in info.shards)
                progress.say(f"{self.out}: {len(info.shards)} shards, {tokens:,} tokens")
        except (TokenizerError, ValueError) as error:
            raise InputError(str(error)) from error
        return 0


@dataclass(frozen=True)
class Data:
    """Import text in many formats into a corpus, encode it for training, and look at it."""

    command: (
        Annotated[DataImport, tyro.conf.subcommand("import")]
        | Annotated[DataShard, tyro.conf.subcommand("shard")]
        | Annotated[DataStats, tyro.conf.subcommand("stats")]
    )

    def run_command(self) -> int:
        """Run the subcommand; the exit status."""
        return self.command.run_command()
