"""The texts that a model is looked at with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xformer.cli.text_input import TextInput
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.data.corpus import Corpus
    from xformer.inspect.texts import TextSample

_LEAST = 50
"""Messages that languages must share to be compared."""


@dataclass(frozen=True)
class TextChoice:
    """Texts: of the corpus that the run was trained on, of another one, or of files."""

    split: Literal["dev", "test", "train"] = "dev"
    """Of the corpus."""
    languages: tuple[str, ...] = ()
    """Tags or English names. Left out: all of the corpus."""
    texts: int = 50
    """Most texts of each language; first messages that most of the languages have."""
    corpus: Path | None = None
    """A corpus of `xformer data import`. Left out: the run's."""
    text: tuple[Path, ...] = ()
    """Files of lines or rows, as for `xformer encode`, in place of a corpus; every text is taken."""
    seed: int = 0
    """Of the choice of messages, and of the shuffles that say what chance gives."""

    def check(self, model: Path) -> None:
        """Check what can be known before anything is read.

        Args:
            model: the run, or the folder of Hugging Face.

        Raises:
            InputError: a number is out of bounds, two sources are named, or none where there is none by
                itself.
        """
        if self.texts < 1:
            raise InputError(f"--texts: expected a number from 1, got {self.texts}")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"--seed: expected a number from 0 to {2**63 - 1}, got {self.seed}")
        if self.text and (self.corpus is not None or self.languages):
            raise InputError("--text: expected files alone; languages are those of a corpus (--corpus)")
        if not self.text and self.corpus is None and (model / "config.json").is_file():
            raise InputError(
                f"{model}: a model of Hugging Face has no corpus; give one with --corpus FOLDER, or texts"
                " with --text FILE"
            )

    def sample(self, model: Path) -> TextSample:
        """Read the texts.

        Raises:
            InputError: as `check`, or a file or a corpus is missing or damaged, or there are no texts.
        """
        from xformer.inspect.texts import sample_corpus, sample_of

        self.check(model)
        if self.text:
            return sample_of(TextInput(self.text), ", ".join(map(str, self.text)))
        return sample_corpus(self._corpus(model), self.split, self.languages, self.texts, self.seed)

    def parallel(self, model: Path) -> tuple[TextSample, tuple[str, ...]]:
        """Read the same messages in each language; and the tags of languages that have too few.

        Raises:
            InputError: as `sample`, or the languages share too few messages.
        """
        from xformer.inspect.texts import sample_parallel

        self.check(model)
        if self.text:
            raise InputError("--text: languages are compared on the messages of a corpus; give --corpus")
        least = min(_LEAST, self.texts)
        corpus = self._corpus(model)
        return sample_parallel(corpus, self.split, self.languages, self.texts, least, self.seed)

    def _corpus(self, model: Path) -> Corpus:
        from xformer.data.corpus import open_corpus
        from xformer.inspect.texts import corpus_of

        return corpus_of(model) if self.corpus is None else open_corpus(self.corpus)
