"""The model that all sides read, and its sources. The same for the same settings, in each process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from xformer.generation.generate import generate
from xformer.generation.options import GenerationOptions
from xformer.interop.huggingface.marian import marian_config, marian_weights
from xformer.model.seq2seq import Seq2Seq
from xformer.model.seq2seq_config import Seq2SeqConfig
from xformer.storage.files import atomic_write

from . import Ends, ShapeName

END = 2
_FIRST = 5
"""The first id that is a word."""
_SIZES: dict[ShapeName, dict[str, int]] = {
    "marian": {},
    "tiny": {"d_model": 32, "n_layers": 1, "n_heads": 2, "d_ff": 64},
}
_NEVER, _ALWAYS = -50.0, 50.0
_HALVINGS = 8


@dataclass(frozen=True)
class Job:
    """What is generated.

    Attributes:
        shape: of the model.
        vocab: tokens of its vocabulary.
        sources: how many.
        length: greatest length of a target, in tokens.
        ends: whether targets end before.
    """

    shape: ShapeName = "marian"
    vocab: int = 32_000
    sources: int = 32
    length: int = 24
    ends: Ends = "never"

    def texts(self) -> list[list[int]]:
        """Sources of 5 to 34 tokens, each with its end."""
        draw = torch.Generator().manual_seed(1)
        lengths = torch.randint(4, 34, (self.sources,), generator=draw).tolist()
        drawn = (torch.randint(_FIRST, self.vocab, (n,), generator=draw).tolist() for n in lengths)
        return [[*ids, END] for ids in drawn]

    def model(self) -> Seq2Seq:
        """A translator whose targets hardly repeat."""
        torch.manual_seed(0)
        model = Seq2Seq(Seq2SeqConfig.marian(**sizes(self)), END).eval()
        assert model.output.bias is not None
        with torch.no_grad():
            model.output.bias.normal_()
            model.output.bias[END] = _NEVER
            # Otherwise what a block adds is small beside what it reads, and each token repeats.
            for name, weight in model.named_parameters():
                if name.endswith(("attn.Wo.weight", "mlp.Wo.weight")):
                    weight.mul_(4)
            model.target_table.weight.mul_(0.5)
            if self.ends == "ragged":
                self._let_end(model)
        return model

    def _let_end(self, model: Seq2Seq) -> None:
        """Find the bias of the end with which greedy targets have half of the greatest length."""
        assert model.output.bias is not None
        texts = self.texts()
        options = GenerationOptions(method="greedy", max_length=self.length, scores=False)
        # The end's logit differs much from source to source and from step to step.
        model.target_table.weight[END] *= 8
        low, high = _NEVER, _ALWAYS
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            model.output.bias[END] = middle
            found = generate(model, texts, options, batch_size=len(texts))
            mean = sum(len(its[0].tokens) for its in found) / len(texts)
            low, high = (middle, high) if mean > self.length / 2 else (low, middle)
        model.output.bias[END] = low  # at least half


def sizes(job: Job) -> dict[str, int]:
    """The settings of `Seq2SeqConfig.marian`."""
    return {"vocab_size": job.vocab, **_SIZES[job.shape]}


def write_model(folder: Path, model: Seq2Seq, job: Job) -> None:
    """Write a folder that `MarianMTModel.from_pretrained` reads, our own weights, and the sources."""
    longest = 512
    folder.mkdir(parents=True, exist_ok=True)
    save_file(marian_weights(model, longest), folder / "model.safetensors", metadata={"format": "pt"})
    save_file(model.state_dict(), folder / "ours.safetensors")
    for name, content in (("config.json", marian_config(model, longest)), ("sources.json", job.texts())):
        with atomic_write(folder / name) as file:
            json.dump(content, file)
