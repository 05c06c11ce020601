"""The command `xformer bench encode`. Torch is imported only when it runs."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from xformer.errors import InputError

from . import ShapeName

if TYPE_CHECKING:
    from xformer.progress import Progress
    from xformer.tokenizer.interface import TextTokenizer

    from .bench import Options

_MOST_TEXTS = 50_000


@dataclass(frozen=True)
class EncodeBench:
    """Sentences per second of `Model.encode` beside sentence-transformers, with the same weights on the same
    text, in turns. Wrong vectors are not timed. Exit status 1: a side of ours was wrong or failed.

    xformer bench encode --run runs/demo --quick

    xformer bench encode --text sentences.txt --onnx-python onnx/bin/python

    xformer bench encode --model runs/minilm --text sentences.txt --onnx-python onnx/bin/python

    xformer bench encode --run runs/demo --memory
    """

    run: Path | None = None
    """A run, whose held-out texts and tokenizer are used. It is not changed."""
    text: Path | None = None
    """Instead of --run: a file with a text a line."""
    model: Path | None = None
    """With --text: an imported run, whose weights and tokenizer are used instead of random ones."""
    tokenizer: Path | None = None
    """With --text: a tokenizer; without it, one is trained on the lines."""
    quick: bool = False
    """A rough answer in about a minute: the small model, one thread, fewer and shorter passes."""
    shape: tyro.conf.UseAppendAction[tuple[ShapeName, ...]] = ()
    """Only this model; may be repeated. By default small and minilm; tiny with --memory."""
    threads: tuple[int, ...] = ()
    """Numbers of threads; by default 1 and 2."""
    seconds: float | None = None
    """About how long a pass of the peer takes on one thread; by default 2, or 0.5 with --quick."""
    rounds: int | None = None
    """Passes of each side; by default 5, or 3 with --quick."""
    onnx_python: Path | None = None
    """Python of an environment with `sentence-transformers[onnx]`; by default this one."""
    models: Path | None = None
    """With --model: folder in which the models that peers export stay. A later call finds them there: to
    export and to quantise takes minutes."""
    memory: bool = False
    """Instead of speed: the peak memory of encoding a stream of sentences, after 10,000, 100,000 and all."""
    sentences: int = 1_000_000
    """With --memory: how many; the texts are repeated."""
    out: Path = Path("benchmarks/results/encode.jsonl")
    """File that the records are added to, one JSON object a line."""
    json: bool = False
    """Print one JSON object a line instead of a table."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from xformer.progress import Progress
        from xformer.storage.files import try_to_write
        from xformer.storage.outputs import check_output_folder

        self._check()
        try_to_write(self.out)
        if self.models is not None:
            check_output_folder(self.models)
        options = self._options()
        with Progress() as progress, tempfile.TemporaryDirectory() as folder:
            texts, tokenizer = self._texts(progress)
            measure = self._memory if self.memory else self._speed
            return measure(texts, tokenizer, options, self.models or Path(folder), progress)

    def _speed(
        self, texts: list[str], tokenizer: TextTokenizer, options: Options, folder: Path, progress: Progress
    ) -> int:
        from rich.console import Console

        from .bench import about, run
        from .report import notes, table, to_json

        machine = about(options, str(self.run or self.text))
        results = run(
            texts, tokenizer, options, folder, progress, lambda one: self._keep(to_json(one, machine))
        )
        if not self.json:
            console = Console()
            console.print(table(results))
            for line in [*notes(results), f"Records added to {self.out}"]:
                console.print(line, highlight=False, markup=False, soft_wrap=True)
        return int(any(one.ours and one.status != "ok" for one in results))

    def _memory(
        self, texts: list[str], tokenizer: TextTokenizer, options: Options, folder: Path, progress: Progress
    ) -> int:
        from xformer.tokenizer import Tokenizer

        from .bench import about
        from .memory import flat, peaks
        from .shapes import write_model

        assert isinstance(tokenizer, Tokenizer)  # --memory has no --model
        machine = about(options, str(self.run or self.text))
        for shape in options.shapes:
            write_model(folder / shape, shape, tokenizer)
            found = peaks(folder / shape, texts, self.sentences, options.threads[-1], progress)
            growth = flat(found)
            self._keep(
                {"bench": "encode memory", "shape": shape, "peak_bytes": found, "growth": growth, **machine}
            )
            if not self.json:
                shown = ", ".join(f"{count:,}: {peak / 2**20:,.0f} MiB" for count, peak in found.items())
                sys.stdout.write(f"{shape}: peak memory after sentences: {shown}; {growth:.3f} times\n")
        return 0

    def _keep(self, record: dict[str, Any]) -> None:
        from ..lines import append_lines

        line = json.dumps(record)
        append_lines(self.out, [line])
        if self.json:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def _check(self) -> None:
        if (self.run is None) == (self.text is None):
            given = "neither" if self.run is None else "both"
            raise InputError(f"bench encode: expected --run RUN or --text FILE, got {given}")
        if self.tokenizer is not None and (self.text is None or self.model is not None):
            raise InputError("--tokenizer: expected with --text; a run has its own")
        if self.model is not None and (self.text is None or self.shape or self.memory):
            raise InputError("--model: expected with --text, and without --shape and --memory")
        if self.models is not None and self.model is None:
            raise InputError("--models: expected with --model; random weights are written anew each time")
        numbers = (("threads", self.threads), ("rounds", (self.rounds,)), ("sentences", (self.sentences,)))
        for name, values in numbers:
            if bad := [value for value in values if value is not None and value < 1]:
                raise InputError(f"--{name}: expected a whole number from 1, got {bad[0]}")
        if self.seconds is not None and not self.seconds > 0:
            raise InputError(f"--seconds: expected a positive number, got {self.seconds}")
        if self.onnx_python is not None and not self.onnx_python.is_file():
            raise InputError(f"--onnx-python: expected a Python, there is no {self.onnx_python}")

    def _texts(self, progress: Progress) -> tuple[list[str], TextTokenizer]:
        from xformer.pretraining.pretrained import open_pretrained

        from .texts import lines_of_file, texts_of_file, texts_of_run

        progress.say("read texts")
        if self.run is not None:
            return texts_of_run(self.run, _MOST_TEXTS)
        assert self.text is not None
        if self.model is not None:
            return lines_of_file(self.text, _MOST_TEXTS), open_pretrained(self.model).tokenizer
        return texts_of_file(self.text, _MOST_TEXTS, self.tokenizer)

    def _options(self) -> Options:
        from .bench import Options

        usual: tuple[ShapeName, ...] = (
            ("tiny",) if self.memory else ("small",) if self.quick else ("small", "minilm")
        )
        if self.model is not None:
            usual = ("imported",)
        return Options(
            shapes=self.shape or usual,
            model=None if self.model is None else str(self.model),
            threads=self.threads or ((1,) if self.quick else (1, 2)),
            seconds=self.seconds or (0.5 if self.quick else 2.0),
            rounds=self.rounds or (3 if self.quick else 5),
            onnx_python=str(self.onnx_python or sys.executable),
        )
