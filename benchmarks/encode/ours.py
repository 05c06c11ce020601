"""Our side: `xformer.embedding` as `Model.encode` uses it, on the weights of the peer's folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from xformer.embedding.checked import as_texts
from xformer.embedding.encode import encode_tokens
from xformer.embedding.precision import prepare
from xformer.embedding.texts import TextEncoder, Vectors
from xformer.interop.huggingface.folder import from_huggingface
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.pretrained import open_pretrained
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.interface import TextTokenizer

from .shapes import MAX_LENGTH
from .turns import serve

CPU = torch.device("cpu")


class Ours:
    """A text encoder, and the commands of the bench.

    Attributes:
        encoder: made of a folder of `shapes.write_model`.
    """

    def __init__(self, folder: Path, dtype: str, threads: int, run: str | None = None) -> None:
        """Open the model of a folder, or of an imported run."""
        torch.set_num_threads(threads)
        model, tokenizer, longest = _of_folder(folder) if run is None else _of_run(run)
        if dtype == "fp64":
            model.encoder.double()
        prepared = prepare(model.eval(), "fp32" if dtype == "fp64" else dtype, CPU)
        self.encoder = TextEncoder(
            prepared.model,
            tokenizer,
            model.config.n_layers,
            longest,
            CPU,
            prepared.computing,
            threads,
            cuts=run is not None,
        )
        self._texts: list[str] = []
        self._ids: list[np.ndarray] = []

    def read(self, texts: str) -> int:
        """Take the texts of a JSON file; their tokens."""
        self._texts = json.loads(Path(texts).read_text(encoding="utf-8"))
        most = self.encoder.max_length if self.encoder.cuts else None
        self._ids, _ = self.encoder.tokenizer.sequences(self._texts, most, self.encoder.threads)
        return sum(map(len, self._ids))

    def encode(self) -> None:
        """Encode the texts."""
        self.vectors(self._texts)

    def model(self) -> None:
        """Encode their tokens."""
        with self.encoder.computing():
            encode_tokens(self.encoder.model, self._ids)

    def save(self, out: str) -> None:
        """Write the vectors of the texts to a `.npy` file."""
        np.save(out, self.vectors(self._texts))

    def vectors(self, texts: Iterable[str]) -> Vectors:
        """(E, D) float32."""
        return np.concatenate(list(self.encoder.stream(as_texts(texts))))


def _of_folder(folder: Path) -> tuple[MultilingualModel, TextTokenizer, int]:
    source = from_huggingface(folder)
    with torch.device("meta"):
        model = MultilingualModel(source.config, "mean")
    model.encoder = source.encoder
    model.masked_lm.to_empty(device=CPU)  # never used here
    return model, Tokenizer.load(folder / "tokenizer.model"), MAX_LENGTH


def _of_run(run: str) -> tuple[MultilingualModel, TextTokenizer, int]:
    opened = open_pretrained(run)
    return opened.network, opened.tokenizer, opened.settings.max_length


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    ours = Ours(Path(job["folder"]), job["dtype"], job["threads"], job.get("run"))
    serve({"read": ours.read, "encode": ours.encode, "model": ours.model, "save": ours.save})
