"""`xformer inspect page`."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from xformer.cli.model_options import ModelOptions
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.inspect.subject import Subject


@dataclass(frozen=True)
class Page:
    """Write one HTML file that shows what each head does with a text. It opens anywhere and loads nothing.

    xformer inspect page runs/demo "Open the file" -o page.html

    With its translation: xformer inspect page runs/demo "Open the file" --pair "Datei öffnen" -o pair.html

    Two models on the same text: xformer inspect page runs/demo "Open the file" --compare models/minilm

    A run's checkpoints, one after the other: xformer inspect page runs/demo "Open the file" --film

    Layers and heads count from 0, as in the names of activations. Exit status 2: a model or a text that
    cannot be used.
    """

    model: tyro.conf.Positional[Path]
    """A run, or a folder of Hugging Face with config.json, model.safetensors and tokenizer.json."""
    texts: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="TEXT [TEXT ...]")]]
    """One or several texts, of at most 1,024 tokens each."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("page.html")
    """The page to write."""
    pair: str | None = None
    """A translation of the text, to be shown beside it."""
    compare: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=["--beside"])] = ()
    """Other models or runs, to be compared on the same texts."""
    checkpoints: tuple[int, ...] = ()
    """Steps of the run whose checkpoints are compared with the newest."""
    film: bool = False
    """Show all checkpoints of the run, one after the other (at most 60)."""
    ablation: bool = False
    """Measure what the texts lose with each head: a pass for each head and hidden token."""
    languages: tuple[str, ...] = ()
    """Tags of the texts, one each; with --pair, its own last. They choose fonts and how words are found."""
    layer: int | None = None
    """The layer that is open at first."""
    head: int | None = None
    """The head that is open at first."""
    title: str = ""
    """Left out: the models' names."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Write the page, print its path, and return the exit status."""
        from xformer.inspect.page.film import chosen
        from xformer.inspect.page.make import make_page
        from xformer.inspect.page.parts import KEEP, extras
        from xformer.progress import Progress
        from xformer.storage.files import atomic_write
        from xformer.storage.outputs import check_output_file

        texts = [*self.texts, *([] if self.pair is None else [self.pair])]
        if not self.texts:
            raise InputError('expected a text, as in: xformer inspect page runs/demo "Open the file"')
        if self.pair is not None and len(self.texts) > 1:
            raise InputError(f"--pair: expected one text and its translation, got {len(self.texts)} texts")
        check_output_file(self.out)
        with Progress() as progress, self.computing.using_threads():
            frames = chosen(self.computing.frames(self.model)) if self.film else []
            subjects = [self.computing.open(path) for path in (self.model, *self.compare)]
            subjects += [self.computing.open(self.model, checkpoint=step) for step in self.checkpoints]
            html = make_page(
                subjects,
                texts,
                title=self.title,
                names=self._names(subjects),
                languages=self.languages,
                layer=self.layer,
                head=self.head,
                extras=extras(
                    runs=len(subjects),
                    ablations=self.ablation,
                    pair=self.pair is not None,
                    frames=frames,
                    progress=progress,
                ),
                keep=KEEP,
                command=shlex.join(["xformer", *sys.argv[1:]]),
                say=progress.say,
            )
            with atomic_write(self.out) as file:
                file.write(html)
        print(self.out)
        return 0

    def _names(self, subjects: Sequence[Subject]) -> list[str]:
        """Of the models on the page; a checkpoint is told by its step."""
        models = len(subjects) - len(self.checkpoints)
        steps = [f"{subjects[0].name}, step {step}" for step in self.checkpoints]
        return [subject.name for subject in subjects[:models]] + steps
