"""`xformer data import | shard | stats`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from xformer.cli.formats import Format, dataset_records, records, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xformer.data.decontaminate import Decontaminator
    from xformer.data.import_notes import ImportNotes
    from xformer.data.readers import Fields, ParallelFields
    from xformer.data.record import Record

CorpusFolder = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="CORPUS")]]
TokenizerModel = tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="TOKENIZER")]]


@dataclass(frozen=True)
class DataImport:
    """Import text files into a corpus: find translations, split, and remove duplicates.

    The corpus is a folder with one file each for training, dev and test, and a manifest with sources, hashes,
    and what was left out for which reason. Translations of one another are a group. A group is always in one
    split.

    Two aligned files: xformer data import moses train.de train.en --out corpora/mine --licence CC-BY-4.0

    A spreadsheet with a column for each language: xformer data import csv phrases.csv --parallel German=de
    English=en --out corpora/mine --licence CC0-1.0

    Rows with fields: xformer data import jsonl texts.de.jsonl texts.en.jsonl --group-field id --out
    corpora/mine --licence CC0-1.0

    A dataset of Hugging Face, saved or as files: xformer data import datasets books/ --split train --text
    sentence --language de --out corpora/books --licence unknown

    Translations of programs: xformer data import gettext django.whl --out corpora/django --licence
    BSD-3-Clause

    Those of the programs on this machine: xformer data import gettext /usr/share/locale --out corpora/system
    --licence "each program's own"

    Those of programs made with Qt: xformer data import qm /usr/share/qt5/translations --out corpora/qt
    --licence unknown

    Dictionaries, such as those of Debian's packages dict-freedict-*: xformer data import dict
    dict-freedict-deu-eng_*.deb --out corpora/words --licence stated

    Manual pages and their translations: xformer data import man /usr/share/man --out corpora/manuals
    --licence "each program's own"

    Names of languages, countries, units, days and emoji, from Unicode's CLDR: xformer data import cldr
    cldr-annotations-full.tgz cldr-localenames-full.tgz --out corpora/names --licence Unicode-3.0

    Messages in JSON, such as locales/en.json beside locales/de.json: xformer data import messages locales
    --out corpora/app --licence MIT
    """

    format: tyro.conf.Positional[Format]
    """Format of the files."""
    files: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE [FILE ...]")]]
    """The files. For moses and iwslt: one per language. For tatoeba: sentences, then links.
    `xformer data fetch` fetches some, and says how to import them."""
    out: Path
    """The folder to make."""
    licence: Annotated[str, tyro.conf.arg(aliases=["--license"])]
    """Licence of the text: an SPDX expression or a sentence; "unknown" if it is not known. For dict and tei,
    "stated": what the files say themselves."""
    languages: tuple[str, ...] = ()
    """Languages of the files, in their order, if the file names do not give them; two-letter or three-letter
    codes. For a zip of moses: of the codes in the names inside. For dict and tei: of the words, then of their
    translations. For tatoeba, tmx, cldr and messages: import only these."""
    dev: float = 0.01
    """Size of the dev split, used for choices during training: a number of groups, or a share below 1."""
    test: float = 0.01
    """Size of the test split, used for evaluation: a number of groups, or a share below 1."""
    held_out_languages: int = 1
    """Only groups in at least this many languages can be in dev or test."""
    min_language_texts: int = 1
    """Languages with fewer texts are small."""
    small_languages: Literal["drop", "join"] = "drop"
    """What becomes of small languages: drop leaves them out; join makes their texts those of their nearest
    kin, de-AT of de. What has no kin in the corpus is left out."""
    decontaminate: tuple[Path, ...] = ()
    """Test sets. Texts that overlap with them are left out: corpora made by this command, files of lines or
    rows (test.de, .txt, .tsv, .csv, .jsonl, .tmx, .zip), folders of such files, or `declaration`, which is
    fetched. Near duplicates are found where the language is known: by the name's end, as of test.de."""
    seed: int = 0
    """Selects the groups for dev and test."""
    text_field: Annotated[str, tyro.conf.arg(aliases=["--text"])] = "text"
    """For csv, tsv, jsonl, parquet and datasets: the name of the field with the text. Without a header, this
    and the other fields are numbers of columns, from 1. A dataset may have a column of translations
    instead."""
    language_field: Annotated[str | None, tyro.conf.arg(aliases=["--language"])] = None
    """For csv, tsv, jsonl, parquet and datasets: the field with the language of the row. For datasets, a tag
    such as de instead is that of all rows."""
    group_field: str | None = None
    """For csv, tsv, jsonl and parquet: the field with the group. Translations of one another have
    equal values."""
    id_field: str | None = None
    """For csv, tsv, jsonl and parquet: the field with the name of the row."""
    label_field: str | None = None
    """For csv, tsv, jsonl and parquet: the field with the class label of the row."""
    parallel: tuple[str, ...] = ()
    """For rows with several languages, instead of --text-field: FIELD=LANGUAGE for each text."""
    delimiter: str | None = None
    """For csv: the character between fields. Left out: comma, semicolon, tab or bar, whichever fits the
    header."""
    min_score: float | None = None
    """For wikimatrix: least score of a pair, 1.04 if left out."""
    paragraphs: bool = False
    """For the format text: import each paragraph as one text, not each line."""
    config: str | None = None
    """For datasets: a configuration, such as de-en."""
    split: tuple[str, ...] = ()
    """For datasets: the splits to read. Left out: the only one."""
    hub: bool = False
    """For datasets: FILE is a name, such as ORG/NAME, that is looked for on huggingface.co. Without it no
    network is used."""
    streaming: bool = False
    """For datasets, with --hub: read rows as they come, and keep no copy. What lies on disk always is."""

    def run_command(self) -> int:
        """Import the files and return the exit status."""
        from xformer.cli.import_summary import checked, doubts, summary
        from xformer.data.corpus import import_corpus
        from xformer.data.import_notes import ImportNotes
        from xformer.data.import_plan import ImportOptions
        from xformer.data.split import SplitSizes
        from xformer.errors import InputError
        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_folder

        check_output_folder(self.out, new=True)
        notes = ImportNotes()
        try:
            sizes = SplitSizes(dev=self.dev, test=self.test, min_languages=self.held_out_languages)
            options = ImportOptions(
                sizes,
                self.seed,
                min_language_records=self.min_language_texts,
                small_languages=self.small_languages,
            )
            stream = self._records(notes)
            sources = [source_of(self.format, path, self.licence) for path in self.files]
        except ValueError as error:
            raise InputError(str(error)) from error
        with Progress() as progress:
            for line in doubts(self.format, self.files):
                progress.say(line)
            # The texts of the others have a language each.
            if self.format not in ("gettext", "tatoeba", "cldr", "messages", "qm", "man"):
                stream = checked(stream, progress.say)
            decontaminator = self._decontaminator(notes, progress.say)
            manifest = import_corpus(
                stream,
                self.out,
                options,
                sources,
                decontaminator=decontaminator,
                notes=notes,
                progress=progress,
            )
            for line in summary(self.out, manifest, notes, self.format):
                progress.say(line)
        return 0

    def _records(self, notes: ImportNotes) -> Iterator[Record]:
        from xformer.data.readers.hf_datasets import DatasetOptions
        from xformer.errors import InputError

        options = DatasetOptions(self.config, self.split, self.streaming, self.hub)
        if self.format == "datasets":
            return dataset_records(self.files, options, self._fields(notes), self.languages, notes)
        if options != DatasetOptions():
            raise InputError(
                "--config, --split, --hub, --streaming: expected with the format datasets only, got"
                f" {self.format}"
            )
        return records(
            self.format,
            self.files,
            languages=self.languages,
            fields=self._fields(notes),
            paragraphs=self.paragraphs,
            delimiter=self.delimiter,
            min_score=self.min_score,
            notes=notes,
        )

    def _decontaminator(self, notes: ImportNotes, say: Callable[[str], None]) -> Decontaminator | None:
        from xformer.data.decontaminate import Decontaminator
        from xformer.data.embedded.corpus import named_or_read
        from xformer.errors import InputError

        if not self.decontaminate:
            return None
        try:
            return Decontaminator(named_or_read(self.decontaminate, notes, say=say))
        except ValueError as error:
            raise InputError(str(error)) from error

    def _fields(self, notes: ImportNotes) -> Fields | ParallelFields:
        from xformer.data.readers import Fields, ParallelFields

        common = {"group": self.group_field, "id": self.id_field, "label": self.label_field}
        if not self.parallel:
            return Fields(self.text_field, self.language_field, **common)
        texts = {}
        for item in self.parallel:
            field, equals, language = item.partition("=")
            if not equals:
                raise ValueError(f"--parallel: expected FIELD=LANGUAGE, got {item!r}")
            if field in texts:
                raise ValueError(f"--parallel: expected each field once, got {field!r} twice")
            texts[field] = notes.normalize(language)
        return ParallelFields(texts, **common)


@dataclass(frozen=True)
class DataStats:
    """Show statistics of a corpus for each language: texts, characters, lengths, scripts and duplicates.

    As a table: xformer data stats corpora/mine

    For another program: xformer data stats runs/demo/corpus --json
    """

    corpus: CorpusFolder
    """A folder made by `xformer data import`, or the `corpus` folder of a run."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def run_command(self) -> int:
        """Print the statistics and return the exit status."""
        from xformer.data.statistics import corpus_statistics
        from xformer.progress import Progress

        with Progress() as progress:
            statistics = corpus_statistics(self.corpus, progress=progress)
        tables = "\n\n".join(statistics.table(split) for split in statistics.splits)
        print(statistics.to_json() if self.json else tables)
        return 0


@dataclass(frozen=True)
class DataShard:
    """Encode a split of a corpus into token shards, with one or many workers.

    Alone: xformer data shard corpora/mine mine.model --out shards/train

    Worker 7 of 100: xformer data shard corpora/mine mine.model --out shards/train --worker 7 --of 100

    After all workers: xformer data shard corpora/mine mine.model --out shards/train --join

    Workers are numbered from 0. They can run in any order, on machines that share a file system. A worker
    that failed can run again. The result is the same for any number of workers.
    """

    corpus: CorpusFolder
    """A folder made by `xformer data import`."""
    tokenizer: TokenizerModel
    """A SentencePiece model made by `xformer tokenizer train`."""
    out: Path
    """The folder to make. Until --join, the shards of the workers are in OUT.parts."""
    split: Literal["train", "dev", "test"] = "train"
    """The split to encode."""
    worker: int | None = None
    """The number of this worker, from 0. It makes every --of'th shard."""
    of: int = 1
    """Number of workers."""
    join: bool = False
    """Join the shards of all workers."""
    max_length: int = 128
    """Longest example, in tokens. Longer texts are cut into chunks."""
    bytes_per_shard: int = 1 << 28
    """Bytes of text in a shard. Choose it so that each worker gets several shards."""

    def run_command(self) -> int:
        """Encode the split and return the exit status."""
        from xformer.data.shard_parts import join_shards, write_shard_parts
        from xformer.data.shard_writer import Sharding, write_shards
        from xformer.errors import InputError
        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_folder
        from xformer.tokenizer import Tokenizer

        if self.join and self.worker is not None:
            raise InputError("--worker, --join: expected one of the two: workers first, then join")
        if self.worker is None and self.of != 1:
            raise InputError(f"--of: expected also --worker, from 0 to {self.of - 1}")
        # Workers may find that the shards are joined already; then they have nothing to do.
        check_output_folder(self.out, new=self.worker is None and not self.join)
        try:
            sizes = {"max_length": self.max_length, "bytes_per_shard": self.bytes_per_shard}
            sharding = Sharding(self.corpus, self.split, Tokenizer.load(self.tokenizer), **sizes)
            with Progress() as progress:
                if self.worker is not None:
                    share = {"worker": self.worker, "of": self.of}
                    made = write_shard_parts(sharding, self.out, **share, progress=progress, say=progress.say)
                    progress.say(f"worker {self.worker} of {self.of}: {made} shards made")
                    return 0
                if self.join:
                    info = join_shards(sharding, self.out)
                else:
                    info = write_shards(sharding, self.out, progress=progress)
                tokens = sum(shard.tokens for shard in info.shards)
                progress.say(f"{self.out}: {len(info.shards)} shards, {tokens:,} tokens")
        except ValueError as error:
            raise InputError(str(error)) from error
        return 0
