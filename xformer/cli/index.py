"""`xformer index`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import InputFormat, TextFiles, TextInput
from xformer.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xformer.data.reporting import ProgressCallback
    from xformer.progress import Progress


@dataclass(frozen=True)
class IndexCommand:
    """Make an index of texts, to search it with `xformer search`.

    Lines of files: xformer index manual.de manual.fr --run runs/demo -o manuals.index

    A corpus: xformer index corpora/mine --run runs/demo -o mine.index

    More texts: xformer index news.txt -o manuals.index --add

    A line is a text, and so is an empty one; of rows (.jsonl, .tsv, .csv, .parquet) one field is. Files are
    read through before the work begins, so that a damaged line is found early. The index is a folder,
    complete or absent, also after Ctrl-C; it names the model, and no other one can search it.
    """

    files: tyro.conf.Positional[TextFiles]
    """Plain or compressed files, or corpora made by `xformer data import`. -: standard input."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """The index: a new folder; with --add one that exists."""
    run: Path | None = None
    """Run directory. With --add left out: the run that made the index."""
    add: bool = False
    """Add the texts behind those of an index: all of them, or after an interruption none."""
    field: str | None = None
    """For rows: the field with the text. Left out: `text`."""
    input_format: InputFormat | None = None
    """Left out: by the names of the files, and lines on standard input."""
    batch_tokens: int | None = None
    """Most tokens that are encoded at a time; bounds the memory. Left out: what is fast on the device."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Make the index, or add to it; the exit status."""
        from xformer.api.index import Index, maker_of
        from xformer.cli.results import progress_beside_results
        from xformer.storage.outputs import check_output_folder

        if not self.files:
            raise InputError("expected files or corpora; - is standard input")
        if not self.add:
            if self.run is None:
                raise InputError("--run: expected the run whose model makes the vectors")
            check_output_folder(self.out, new=True)
        with progress_beside_results() as progress:
            texts, total = self._texts(progress)
            if self.add or self.run is None:
                model = self.computing.load(*maker_of(self.out, self.run))
            else:
                model = self.computing.load(self.run)

            def tell(what: str, done: int, _: int | None) -> None:
                progress(what, done, total)

            if self.add:
                index = Index(self.out, model)
                before = len(index)
                index.add(texts, batch_tokens=self.batch_tokens, progress=tell)
                progress.say(f"{self.out}: {len(index) - before:,} texts added, {len(index):,} in all")
            else:
                index = Index.build(self.out, model, texts, batch_tokens=self.batch_tokens, progress=tell)
                progress.say(f'{self.out}: {len(index):,} texts; next: xformer search {self.out} "…"')
        return 0

    def _texts(self, progress: Progress) -> tuple[Mapping[str, Iterable[str]], int | None]:
        """The texts by source, checked as far as they can be; how many there are, if that is known."""
        found: dict[str, Iterable[str]] = {}
        total: int | None = 0
        for path in self.files:
            if (path / "manifest.json").is_file():
                for name, some in corpus_texts(path):
                    count = some.count(progress)
                    found[name], total = some, None if total is None else total + count
                continue
            lines = TextInput((path,), self._field_of(path), self.input_format)
            counted = lines.count(progress)
            found[str(path)] = lines
            total = None if total is None or counted is None else total + counted
        if len(found) < len(self.files):
            raise InputError("FILES: expected each file once")
        return found, total

    def _field_of(self, path: Path) -> str | None:
        """The field belongs to files that have fields; if none has, `TextInput` complains."""
        from xformer.cli.text_input import format_of

        rows = [format_of(one, self.input_format) != "lines" for one in self.files if not one.is_dir()]
        has = format_of(path, self.input_format) != "lines"
        return self.field if has or not any(rows) else None


@dataclass(frozen=True)
class CorpusTexts:
    """The texts of one split of a corpus, in the order of its file."""

    corpus: Path
    split: str

    def __iter__(self) -> Iterator[str]:
        """Yield the texts.

        Raises:
            InputError: the split's file is damaged.
        """
        from xformer.data.corpus import open_corpus

        return (record.text for record in open_corpus(self.corpus).records(self.split))

    def count(self, progress: ProgressCallback | None = None) -> int:
        """Read everything once.

        Raises:
            InputError: as iterating.
        """
        from xformer.data.reporting import reported

        return sum(1 for _ in reported(self, "check", None, progress))


def corpus_texts(folder: Path) -> Iterator[tuple[str, CorpusTexts]]:
    """The splits of a corpus that have texts, by the names of their files.

    Raises:
        InputError: it is no corpus.
    """
    from xformer.data.corpus import open_corpus

    for name, split in open_corpus(folder).manifest.splits.items():
        if split.total.records:
            yield str(folder / split.file.name), CorpusTexts(folder, name)
