"""`xformer inspect page`."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from xformer.cli.model_options import ModelOptions
from xformer.errors import InputError


@dataclass(frozen=True)
class Page:
    """Write one HTML file that shows what each head does with a text. It opens anywhere and loads nothing.

    xformer inspect page runs/demo "Open the file" -o page.html

    With its translation: xformer inspect page runs/demo "Open the file" --pair "Datei öffnen" -o pair.html

    Two models on the same text: xformer inspect page runs/demo "Open the file" --beside models/minilm

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
    beside: tuple[Path, ...] = ()
    """Other models or runs, to be compared on the same texts."""
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
        from xformer.inspect.page.make import make_page
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
            subjects = [self.computing.open(path) for path in (self.model, *self.beside)]
            html = make_page(
                subjects,
                texts,
                title=self.title,
                languages=self.languages,
                layer=self.layer,
                head=self.head,
                command=shlex.join(["xformer", *sys.argv[1:]]),
                say=progress.say,
            )
            with atomic_write(self.out) as file:
                file.write(html)
        print(self.out)
        return 0
