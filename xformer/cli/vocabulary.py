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
    from xformer.vocabulary.source import Source, Texts
    from xformer.vocabulary.trim import Trimmed

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
    """Run directory of `xformer pretrain` or `xformer finetune`."""
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

            source = Source.open(self.run)
            made = trim_run(source, _texts(source, self.texts, self.languages), self.out, progress)
        if self.json:
            print(json.dumps(dataclasses.asdict(made), default=str, ensure_ascii=False))
        else:
            print("\n".join(_trimmed(made)))
        return 0


def _texts(source: Source, paths: tuple[Path, ...], languages: tuple[str, ...]) -> Texts:
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


def _trimmed(made: Trimmed) -> list[str]:
    def change(values: tuple[int, int]) -> str:
        return f"{values[0]:,} → {values[1]:,}"

    lines = [
        f"{made.run}: {change(made.pieces)} pieces; {change(made.parameters)} parameters;"
        f" {made.weight_bytes[0] / 1e6:,.1f} → {made.weight_bytes[1] / 1e6:,.1f} MB of weights",
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
