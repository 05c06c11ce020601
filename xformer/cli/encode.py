"""`xformer encode`."""

from __future__ import annotations

import dataclasses
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from xformer.cli.arguments import OnByDefault
from xformer.cli.model_options import ModelOptions
from xformer.cli.text_input import InputFormat, TextFiles, TextInput
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.api import Model, Vectors
    from xformer.progress import Progress

OutputFormat = Literal["text", "jsonl", "npy", "parquet"]

_BY_SUFFIX: dict[str, OutputFormat] = {
    ".npy": "npy",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".txt": "text",
}


@dataclass(frozen=True)
class Encode:
    """Encode texts: a vector for each line of files or of standard input, in their order.

    To a NumPy file: xformer encode runs/demo texts.txt --out texts.npy

    A column of a table: xformer encode runs/demo news.parquet --field title --out titles.parquet

    In a pipe: zcat texts.gz | xformer encode runs/demo --format jsonl | head

    N lines give N vectors; an empty line has the zero vector. Texts that are longer than what the model reads
    at once are cut into chunks, whose vectors are averaged. Files are read through before the work begins, so
    that a damaged line is found early. A file of vectors is whole or absent, also after Ctrl-C.
    """

    run: tyro.conf.Positional[Path]
    """Run directory."""
    files: tyro.conf.Positional[TextFiles] = ()
    """Plain or compressed (.gz, .bz2, .xz). Left out, or -: standard input."""
    out: Path | None = None
    """The file to write; .npy, .parquet, .jsonl or .txt. Left out: standard output."""
    format: OutputFormat | None = None
    """Left out: by the name of --out. `text`: numbers alone; `jsonl`: objects with `text` and `vector`."""
    field: str | None = None
    """For rows: the field with the text. Left out: `text`."""
    input_format: InputFormat | None = None
    """Left out: by the names of the files, and lines on standard input."""
    normalise: OnByDefault = True
    """Leave the vectors as long as they are. Otherwise their length is 1, so that a product is a cosine."""
    prompt: str | None = None
    """Of an imported model that has some: the name of the text that stands in front of each, such as `query`.
    Left out: the model's default."""
    batch_tokens: int | None = None
    """Most tokens that are encoded at a time; bounds the memory. Left out: what is fast on the device."""
    line_buffered: bool = False
    """Encode each text as it comes, for a pipe that stays open. Otherwise some 16,000 are read ahead."""
    computing: ModelOptions = dataclasses.field(default_factory=ModelOptions)

    def run_command(self) -> int:
        """Encode the texts and return the exit status."""
        from xformer.cli.results import progress_beside_results

        texts = TextInput(self.files, self.field, self.input_format)
        kind = self._check_output(texts)
        with progress_beside_results() as progress:
            model = self.computing.load(self.run)
            texts.say_what_is_awaited()
            self._encode(model, texts, kind, progress)
        return 0

    def _check_output(self, texts: TextInput) -> OutputFormat:
        """The format of the output, which can be written."""
        from xformer.embedding.vector_files import require_pyarrow
        from xformer.storage.outputs import check_output_file

        if self.out is None:
            if self.format in ("npy", "parquet"):
                raise InputError(f"--format {self.format}: expected also --out FILE")
            return self.format or "text"
        kind = self.format or _BY_SUFFIX.get(self.out.suffix)
        if kind is None:
            raise InputError(
                f"{self.out}: expected a name that ends in {', '.join(_BY_SUFFIX)}, or also --format"
            )
        if kind == "parquet":
            require_pyarrow(self.out)
        check_output_file(self.out)
        if any(self.out.exists() and self.out.samefile(path) for path in texts.files):
            raise InputError(f"--out {self.out}: expected another file than the texts are in")
        return kind

    def _encode(self, model: Model, texts: TextInput, kind: OutputFormat, progress: Progress) -> None:
        from xformer.embedding.vector_files import vector_writer

        total, done = texts.count(progress), 0
        options: dict[str, Any] = {
            "normalise": None if self.normalise else False,
            "prompt": self.prompt,
            "batch_tokens": self.batch_tokens,
        }
        single = self.line_buffered or texts.typed
        with vector_writer(sys.stdout if self.out is None else self.out, kind, model.dim) as write:
            for block, vectors in encoded_blocks(model, texts, total, progress, "encode", single, **options):
                write(block, vectors)
                done += len(block)
        if self.out is not None:
            progress.say(f"{self.out}: {done:,} vectors of {model.dim} numbers")


def encoded_blocks(
    model: Model,
    texts: Iterable[str],
    total: int | None,
    progress: Progress,
    what: str,
    single: bool = False,
    **options: Any,
) -> Iterator[tuple[list[str], Vectors]]:
    """Encode texts block by block, and say at the end how many were longer than the model reads at once.

    Args:
        model: encodes them.
        texts: read as the work goes on.
        total: number of texts, if it is known.
        progress: shows how many are done.
        what: the name of the work.
        single: encode each text before the next one is read.
        options: of `Model.encode_stream`; vectors have length 1 unless these say otherwise.

    Yields:
        Texts and their vectors (b, D), in the order given.
    """
    waiting: deque[str] = deque()
    options = {"normalise": True} | options
    done = cut = 0

    def kept(part: Iterable[str]) -> Iterator[str]:
        for text in part:
            waiting.append(text)
            yield text

    def tell(work: str, more: int, of: int | None) -> None:
        # The first encoding of a run may choose the layer, which is work of another name.
        progress(*((what, done + more, total) if work == "encode" else (work, more, of)))

    parts: Iterable[Iterable[str]] = ([text] for text in texts) if single else [texts]
    for part in parts:
        stream = model.encode_stream(kept(part), progress=tell, **options)
        for vectors in stream:
            yield [waiting.popleft() for _ in vectors], vectors
        done, cut = done + stream.texts, cut + stream.cut
    if cut:
        progress.say(
            f"{what}: {cut:,} of {done:,} texts have more than {model.max_length} tokens;"
            f" {model.of_longer_texts}"
        )
