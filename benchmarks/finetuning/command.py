"""The command `xformer bench finetuning`. Torch is imported only when it runs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class FinetuningBench:
    """Texts per second of fine-tuning beside Hugging Face's Trainer: an encoder of the same shape, on the
    same texts, in turns. Exit status 1: less than `--least` times as fast as the Trainer with padding to the
    longest of all texts, as most tutorials have it.

    xformer bench finetuning runs/demo train.en.tsv

    xformer bench finetuning runs/demo train.en.jsonl.gz --text-field description --label-field section --json

    It needs transformers and accelerate: pip install 'xformer[hf]' accelerate. Texts are tokenised before.
    """

    run: tyro.conf.Positional[Path]
    """Run directory whose tokenizer and shape are used."""
    texts: tyro.conf.Positional[tuple[Path, ...]]
    """Labelled texts, as for `xformer finetune classify`."""
    text_field: str = "text"
    """The field with the text."""
    label_field: str = "label"
    """The field with the label."""
    max_tokens: int = 256
    """Of a text that are read; as many as `xformer finetune classify` reads by default."""
    batch_texts: int = 32
    """Texts of a step."""
    burst: int = 8
    """Steps of a turn."""
    turns: int = 10
    """Turns of each side."""
    threads: int = 1
    """Threads of each side; they never compute at the same time."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of matrix products. `auto`: what is faster for us, and Hugging Face's default, which is fp32."""
    frozen_embedding: bool = False
    """Leave the embedding as it is, on both sides."""
    least: float = 5.0
    """How many times as fast as the Trainer this package has to be."""
    out: Path = Path("benchmarks/results/finetuning.json")
    """File of the record."""
    json: bool = False
    """Print one JSON object instead of lines."""

    def run_command(self) -> int:
        """Measure; the exit status."""
        from xformer.errors import InputError
        from xformer.progress import Progress

        from ..kept import begin_record, write_record
        from .bench import measure
        from .texts import job_of

        for name in ("max_tokens", "batch_texts", "burst", "turns", "threads"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"--{name.replace('_', '-')}: expected at least 1, got {getattr(self, name)}"
                )
        machine = begin_record(self.out)
        job = job_of(
            self.run,
            self.texts,
            self.text_field,
            self.label_field,
            max_tokens=self.max_tokens,
            batch_texts=self.batch_texts,
            burst=self.burst,
            threads=self.threads,
            precision=self.precision,
            frozen_embedding=self.frozen_embedding,
        )
        with Progress() as progress:
            found = measure(job, ("trainer", "trainer max_length"), self.turns, progress)
        shape = {"texts": len(job.texts), "tokens": sum(map(len, job.texts)), "classes": job.n_classes}
        names = ("max_tokens", "batch_texts", "threads", "precision", "frozen_embedding", "turns", "burst")
        options = {name: getattr(self, name) for name in names}
        record = {"model": asdict(job.model), **shape, **options, "sides": [asdict(one) for one in found]}
        write_record(self.out, record | machine)
        if self.json:
            sys.stdout.write(json.dumps(record | machine) + "\n")
        else:
            for one in found:
                if one.note:
                    sys.stdout.write(f"{one.side}: not measured: {one.note}\n")
                    continue
                beside = (
                    f"; xformer is {one.ratio:.2f} times as fast ({one.low:.2f} to {one.high:.2f}),"
                    f" {one.cpu_ratio:.2f} in CPU time"
                )
                sys.stdout.write(
                    f"{one.side}: {one.texts_per_s:,.1f} texts/s{'' if one.side == 'xformer' else beside}\n"
                )
        goal = next(one for one in found if one.side == "trainer max_length")
        return int(bool(goal.note) or goal.ratio < self.least)
