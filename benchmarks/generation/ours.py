"""Our side: `xformer.generation` on the weights of the bench's model."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from xformer.generation.decoding import Decoding
from xformer.generation.generate import generate
from xformer.generation.options import GenerationOptions
from xformer.model.cache import cache_bytes
from xformer.model.int8 import quantise_translator
from xformer.model.seq2seq import Seq2Seq
from xformer.model.seq2seq_config import Seq2SeqConfig

from ..encode.turns import serve
from .model import END, Job, sizes


class Ours:
    """A translator, and the commands of the bench."""

    def __init__(self, folder: Path, job: Job, dtype: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._model = Seq2Seq(Seq2SeqConfig.marian(**sizes(job)), END)
        self._model.load_state_dict(load_file(folder / "ours.safetensors"))
        self._model.eval()
        if dtype == "int8":
            quantise_translator(self._model)
        self._texts: list[list[int]] = json.loads((folder / "sources.json").read_text(encoding="utf-8"))
        self._length = job.length

    def generate(self, beam: int) -> list[list[int]]:
        """The best target of each source."""
        options = GenerationOptions(
            method="beam" if beam > 1 else "greedy", beam=beam, max_length=self._length, scores=False
        )
        found = generate(self._model, self._texts, options, batch_size=len(self._texts))
        return [list(its[0].tokens) for its in found]

    def memory(self, beam: int) -> dict[str, int]:
        """Bytes of the cache when all hypotheses have their greatest length, and what the formula says."""
        with torch.inference_mode():
            decoding = Decoding(self._model, self._texts, [()] * len(self._texts))
            decoding.expand(beam)
            for _ in range(self._length - 1):
                decoding.advance(torch.full((len(self._texts), beam), 7))
        cache = decoding.cache
        longest = max(map(len, self._texts))
        wanted = cache_bytes(self._model.config.decoder, len(self._texts), beam, cache.capacity, longest)
        return {"cache_bytes": cache.n_bytes, "formula_bytes": wanted}


def job_of(fields: dict[str, Any]) -> Job:
    """The job among the fields that a process is started with."""
    return Job(**{name: fields[name] for name in asdict(Job())})


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    ours = Ours(Path(given["folder"]), job_of(given), given["dtype"], given["threads"])
    serve({"generate": ours.generate, "memory": ours.memory})
