"""`xformer tokenizer trim | extend`: another vocabulary for a run."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.corpus import Corpus
    from xformer.vocabulary.extend import ExtendedRun
    from xformer.vocabulary.source import Source, Texts
    from xformer.vocabulary.trim import Trimmed
    from xformer.vocabulary.trim_imported import ImportedSource

_SHOWN = 5
"""Languages that a line lists."""

Run = tyro.conf.Positional[Path]
TextSources = tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="[CORPUS | FILE ...]")]]


@dataclass(frozen=True)
class TokenizerTrim:
    """Make a smaller run for some languages: without the pieces, and the rows, that their texts do not need.

    To two languages of the run's own corpus: xformer tokenizer trim runs/demo --languages de fr --out
    runs/small

    To the texts of another corpus: xformer tokenizer trim runs/demo corpora/mine --out runs/small

    To the lines of files: xformer tokenizer trim runs/demo german.txt --out runs/small

    The texts have the same pieces as before, and the model computes the same for them; both is checked.
    Other texts may be cut into more pieces: how many are is measured on texts that were not looked at. Of a
    corpus with other languages, the texts of the chosen ones are copied into the new run. Pretraining can go
    on there, and fine-tuning start. The run itself is only read.
    """

    run: Run
    """Run directory of `xformer pretrain`, `xformer finetune` or, with texts given, `xformer import`."""
    out: Path
    """The new run: a new folder."""
    texts: TextSources = ()
    """A corpus made by `xformer data import`, or files with a text a line. Left out: the run's own corpus."""
    languages: tuple[str, ...] = ()
    """Languages of the corpus, by tag or English name. Left out: all."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""

    def run_command(self) -> int:
        """Make the run, say what was measured, and return the exit status."""
        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_folder

        check_output_folder(self.out, new=True)
        with Progress() as progress:
            from xformer.vocabulary.source import Source
            from xformer.vocabulary.trim import trim_run
            from xformer.vocabulary.trim_imported import ImportedSource, trim_imported

            if (imported := ImportedSource.open(self.run)) is not None:
                made = trim_imported(
                    imported, _texts(imported, self.texts, self.languages), self.out, progress
                )
            else:
                source = Source.open(self.run)
                made = trim_run(source, _texts(source, self.texts, self.languages), self.out, progress)
        if self.json:
            print(json.dumps(dataclasses.asdict(made), default=str, ensure_ascii=False))
        else:
            print("\n".join(_trimmed(made)))
        return 0


@dataclass(frozen=True)
class TokenizerExtend:
    """Make a run for more languages: pieces for their texts, with rows that start from the pieces before.

    For the languages of a corpus that the run has not seen: xformer tokenizer extend runs/demo corpora/mine
    --out runs/more

    For the lines of a file, 2,000 pieces at most: xformer tokenizer extend runs/demo maltese.txt --pieces
    2000 --out runs/more

    The row of a new piece is the mean of the rows of the pieces that it was cut into before. Earlier pieces
    keep their ids, scores and rows. How many pieces new texts have now, and how many earlier texts are cut as
    before, is measured on texts that were not looked at. Then train: `xformer pretrain NEW --steps N`, on a
    corpus that holds the earlier languages as well, or else the model forgets them. The run itself is only
    read.
    """

    run: Run
    """Run directory of `xformer pretrain` or `xformer finetune`."""
    out: Path
    """The new run: a new folder."""
    texts: TextSources = ()
    """A corpus made by `xformer data import`, or files with a text a line. Left out: the run's own corpus, of
    which `--languages` then names some."""
    languages: tuple[str, ...] = ()
    """Languages of the corpus to extend for, by tag or English name. Left out: those that the run's own
    corpus lacks."""
    pieces: int | None = None
    """The largest number of new pieces. Left out: as many as the vocabulary has. Fewer are added where the
    texts are too small to teach as many."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""

    def run_command(self) -> int:
        """Make the run, say what was measured, and return the exit status."""
        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_folder

        if self.pieces is not None and self.pieces < 1:
            raise InputError(f"--pieces: expected at least 1, got {self.pieces}")
        check_output_folder(self.out, new=True)
        with Progress() as progress:
            from xformer.vocabulary.extend import extend_run
            from xformer.vocabulary.source import Source

            source = Source.open(self.run)
            texts = _texts(source, self.texts, self.languages)
            if texts.corpus is not None and not self.languages:
                texts = _new_languages(source, texts.corpus)
            made = extend_run(source, texts, self.out, progress, self.pieces)
        if self.json:
            print(json.dumps(dataclasses.asdict(made), default=str, ensure_ascii=False))
        else:
            print("\n".join(_extended(made)))
        return 0


def _new_languages(source: Source, corpus: Corpus) -> Texts:
    """The texts of a corpus in languages that the run's own lacks.

    Raises:
        InputError: there are none.
    """
    from xformer.vocabulary.source import Texts

    own = source.corpus()
    had = () if own is None else own.manifest.languages
    if not (new := tuple(one for one in corpus.manifest.languages if one not in had)):
        raise InputError(
            f"{corpus.folder}: its languages are those that the run was trained on; name the ones to extend"
            " for by --languages"
        )
    return Texts.of_corpus(corpus, new)


def _texts(source: Source | ImportedSource, paths: tuple[Path, ...], languages: tuple[str, ...]) -> Texts:
    """The texts that a vocabulary is fitted to.

    Raises:
        InputError: there are none, or languages are chosen of texts that have none.
    """
    from xformer.cli.text_input import TextInput
    from xformer.data.corpus import open_corpus
    from xformer.data.subset import languages_of
    from xformer.vocabulary.source import Texts

    folders = [path for path in paths if path.is_dir()]
    if folders and len(paths) > 1:
        raise InputError(f"{folders[0]}: a corpus; expected one corpus, or files")
    if paths and not folders:
        if languages:
            raise InputError(
                "--languages: lines of files have no language; expected a corpus, or no languages"
            )
        given = TextInput(paths)
        if not given.repeatable:
            raise InputError("expected files, which are read more than once; got a pipe")
        return Texts.of_lines(given, ", ".join(map(str, paths)))
    corpus = open_corpus(folders[0]) if folders else source.corpus()
    if corpus is None:
        raise InputError(f"{source.run.path}: its corpus is not at hand; give a corpus, or files with texts")
    return Texts.of_corpus(corpus, languages_of(corpus, languages))


def _sizes(made: Trimmed | ExtendedRun) -> str:
    def change(values: tuple[int, int]) -> str:
        return f"{values[0]:,} → {values[1]:,}"

    return (
        f"{made.run}: {change(made.pieces)} pieces; {change(made.parameters)} parameters;"
        f" {made.weight_bytes[0] / 1e6:,.1f} → {made.weight_bytes[1] / 1e6:,.1f} MB of weights"
    )


def _trimmed(made: Trimmed) -> list[str]:
    lines = [
        _sizes(made),
        f"kept texts: {made.kept_texts:,}, all with the same pieces"
        + ("" if made.output_difference is None else f"; outputs differ by {made.output_difference:.0e}"),
    ]
    if made.unseen.share is not None:
        more = made.unseen.tokens / max(1, made.unseen.tokens_before) - 1
        lines.append(
            f"unseen texts: {made.unseen.same:,} of {made.unseen.texts:,} ({made.unseen.share:.2%}) with the"
            f" same pieces; {more:+.2%} pieces"
        )
    if made.top1 is not None:
        lines.append(f"top-1 retrieval on the test split: {made.top1[0]:.4f} → {made.top1[1]:.4f}")
    return lines


def _extended(made: ExtendedRun) -> list[str]:
    lines = [_sizes(made)]
    if made.unseen.texts:
        lines.append(
            f"unseen new texts: {made.unseen.tokens_before:,} → {made.unseen.tokens:,} pieces"
            f" ({made.unseen.tokens / max(1, made.unseen.tokens_before) - 1:+.1%})"
        )
    if made.earlier is not None and made.earlier.share is not None:
        earlier, exact = made.earlier, ""
        if made.output_difference is not None:
            exact = f"; their outputs differ by {made.output_difference:.0e}"
        lines.append(
            f"earlier texts: {earlier.same:,} of {earlier.texts:,} ({earlier.share:.2%}) with the same"
            f" pieces{exact}"
        )
    if made.top1 is not None:
        lines.append(f"top-1 retrieval on the test split: {made.top1[0]:.4f} → {made.top1[1]:.4f}")
    if made.left:
        shown = ", ".join(made.left[:_SHOWN]) + (", …" if len(made.left) > _SHOWN else "")
        lines.append(f"pretraining forgets {len(made.left):,} languages that the new corpus lacks: {shown}")
    lines.append(f"the rows of new pieces are a start: xformer pretrain {made.run} --steps N")
    return lines
