"""`xformer data pairs | mixed`: labelled examples from the translations of a corpus."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xformer.cli.data import CorpusFolder
from xformer.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True)
class DataPairs:
    """Make pairs of texts that are translations or not, for `xformer finetune pair`, from a corpus.

    xformer data pairs corpora/mine --languages en de --split test --out test.en-de.tsv

    Each text stands beside its translation, and beside another text in that language, which is hard to tell
    from the translation: the one with the nearest character trigrams. The same seed gives the same file.
    """

    corpus: CorpusFolder
    """A folder made by `xformer data import`, or the `corpus` folder of a run."""
    languages: tuple[str, str]
    """Of the first texts, and of the second ones."""
    out: Path
    """The file to make: .tsv or .jsonl, with text, text_pair and label (translation or other)."""
    split: Split = "train"
    """The split of the corpus."""
    negatives: Literal["trigrams", "length", "random"] = "trigrams"
    """The other text: the nearest by trigrams, the nearest in length, or any."""
    most: int | None = 4000
    """Number of translations that are used, drawn at random; each gives two rows. The nearest text is looked
    for among them."""
    seed: int = 0
    """Of all that is drawn."""

    def run_command(self) -> int:
        """Make the file and return the exit status."""
        from xformer.data.synthetic.pairs import pairs_of
        from xformer.data.synthetic.translations import translations
        from xformer.progress import Progress

        _check(self.out, self.most, (".tsv", ".jsonl"))
        one, other = self.languages
        if one == other:
            raise InputError(f"--languages: expected two different languages, got {one} twice")
        with Progress() as progress:
            groups = translations(self.corpus, self.split, self.languages, 2, self.most, self.seed)
            rows = pairs_of([(group[one], group[other]) for group in groups], self.negatives, self.seed)
            names = ("text", "text_pair", "label")
            if self.out.suffix == ".tsv":
                lines = ["\t".join(" ".join(cell.split()) for cell in row) for row in [names, *rows]]
            else:
                lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]
            _write(self.out, lines)
            progress.say(f"{self.out}: {len(rows):,} pairs, half of them translations")
        return 0


@dataclass(frozen=True)
class DataMixed:
    """Make sentences in two languages, with the language of each word, for `xformer finetune tag`.

    xformer data mixed corpora/mine --languages en de fr --split train --out train.jsonl

    Each sentence goes from a text into its translation and back; numbers and signs are tagged `other`. Words
    are what stands between white space, so languages that are written without it are of no use here. The
    file has a sentence a line: `xformer finetune tag RUN --train train.jsonl --language-field language`. The
    same seed gives the same file.
    """

    corpus: CorpusFolder
    """A folder made by `xformer data import`, or the `corpus` folder of a run."""
    languages: tuple[str, ...]
    """Two languages or more; each sentence is in two of them."""
    out: Path
    """The file to make: .jsonl, with the fields tokens, tags and language."""
    split: Split = "train"
    """The split of the corpus."""
    most_switches: int = 3
    """Largest number of switches in a sentence."""
    most: int | None = 4000
    """Number of translations that are used, drawn at random; each gives at most one sentence."""
    seed: int = 0
    """Of all that is drawn."""

    def run_command(self) -> int:
        """Make the file and return the exit status."""
        from dataclasses import asdict

        from xformer.data.synthetic.mixed import mixed_texts
        from xformer.data.synthetic.translations import translations
        from xformer.progress import Progress

        _check(self.out, self.most, (".jsonl",))
        if len(set(self.languages)) < 2:
            raise InputError("--languages: expected two different languages or more")
        if self.most_switches < 1:
            raise InputError(f"--most-switches: expected a whole number from 1, got {self.most_switches}")
        with Progress() as progress:
            groups = translations(self.corpus, self.split, self.languages, 2, self.most, self.seed)
            found = list(mixed_texts(groups, self.most_switches, self.seed))
            if not found:
                raise InputError(f"{self.corpus}: expected texts of several words, found none to mix")
            _write(self.out, (json.dumps(asdict(one), ensure_ascii=False) for one in found))
            words = sum(len(one.tokens) for one in found)
            progress.say(f"{self.out}: {len(found):,} sentences, {words:,} words")
        return 0


def _check(out: Path, most: int | None, endings: tuple[str, ...]) -> None:
    from xformer.storage.outputs import check_output_file

    if out.suffix not in endings:
        raise InputError(f"--out {out}: expected a name that ends in {' or '.join(endings)}")
    if most is not None and most < 2:
        raise InputError(f"--most: expected a whole number from 2, got {most}")
    check_output_file(out)


def _write(out: Path, lines: Iterable[str]) -> None:
    from xformer.storage.files import atomic_write

    with atomic_write(out) as file:
        file.writelines(f"{line}\n" for line in lines)
