"""`xformer export onnx`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from xformer.errors import InputError
from xformer.interop.network.outputs import Output

if TYPE_CHECKING:
    from xformer.interop.export.onnx_folder import ExportedOnnx


@dataclass(frozen=True)
class ExportOnnx:
    """Write an ONNX graph and its tokenizer: onnxruntime and tokenizers are all that is needed to run it.

    xformer export onnx runs/demo exported/demo

    Sentence vectors alone: xformer export onnx runs/demo exported/demo --outputs sentence_embedding

    The folder has `model.onnx`, `tokenizer.json`, `config.json` and a README with the lines that run it. The
    graph takes token ids and masks of any batch and any length, and gives sentence vectors and states of
    tokens; of a run of `xformer finetune`, labels. Runs of `xformer import` can be written, too.

    Before the folder is put in place, onnxruntime's outputs are compared with the run's, on lengths from 0 to
    the longest, and token ids on lines of the corpus. If they differ, nothing is written and the exit status
    is 2. Needs the extra `onnx`.
    """

    run: tyro.conf.Positional[Path]
    """Run directory of `xformer pretrain`, `xformer finetune` or `xformer import`."""
    folder: tyro.conf.Positional[Path]
    """The folder to write: new, or empty."""
    outputs: tuple[Output, ...] = ()
    """What is computed, of sentence_embedding, last_hidden_state, logits, probabilities. Left out: all that
    the run has."""
    int8: bool = False
    """Also write `model.int8.onnx`, in 8-bit integers, and measure what it loses."""
    lines: int = 10_000
    """Lines of the run's corpus, and as many random ones, on which token ids are compared."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""

    def run_command(self) -> int:
        """Write the folder, say what was compared, and return the exit status."""
        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_folder

        if self.lines < 1:
            raise InputError(f"--lines: expected a whole number from 1, got {self.lines}")
        check_output_folder(self.folder, new=True)
        with Progress() as progress:
            from xformer.interop.export.onnx_folder import export_onnx

            done = export_onnx(
                self.run,
                self.folder,
                progress,
                outputs=self.outputs or None,
                int8=self.int8,
                n_lines=self.lines,
            )
        if self.json:
            print(json.dumps(dataclasses.asdict(done), default=str, ensure_ascii=False))
        else:
            print(_said(done))
        return 0


def _said(done: ExportedOnnx) -> str:
    from xformer.interop.export.portable_card import compared

    sizes = ", ".join(f"{name} {n / 1e6:.1f} MB" for name, n in done.bytes.items())
    first, *rest = compared(done.versions, done.outputs_compared, done.ids_compared)
    lines = [
        f"{done.folder}: {', '.join(done.outputs)}; texts are cut after {done.max_length} tokens; {sizes}",
        first,
        *(f"  {line}" for line in rest),
        *([] if done.int8 is None else [f"  {done.int8.said()}"]),
    ]
    return "\n".join(lines)
