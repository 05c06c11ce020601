"""`xformer export tensorflow`."""

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
    from xformer.interop.export.tensorflow_folder import ExportedTensorFlow


@dataclass(frozen=True)
class ExportTensorFlow:
    """Write a SavedModel, which TensorFlow, its servers and Keras run and train further.

    xformer export tensorflow runs/demo exported/demo

    It takes texts and cuts them itself: xformer export tensorflow runs/demo exported/demo --text

    The folder is the SavedModel, with `tokenizer.json`, `config.json` and a README with the lines that run
    it. Its signatures take token ids and masks of any batch and any length, or texts, and give sentence
    vectors and states of tokens; of a run of `xformer finetune`, labels.

    Before the folder is put in place, TensorFlow's outputs are compared with the run's, on lengths from 0 to
    the longest, and token ids on lines of the corpus. If they differ, nothing is written and the exit status
    is 2. Needs the extra `tensorflow`.
    """

    run: tyro.conf.Positional[Path]
    """Run directory of `xformer pretrain`, `xformer finetune` or `xformer import`."""
    folder: tyro.conf.Positional[Path]
    """The folder to write: new, or empty."""
    text: bool = False
    """It takes texts. Whoever loads it needs tensorflow-text."""
    outputs: tuple[Output, ...] = ()
    """What is computed, of sentence_embedding, last_hidden_state, logits, probabilities. Left out: all that
    the run has."""
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
            from xformer.interop.export.tensorflow_folder import export_tensorflow

            done = export_tensorflow(
                self.run,
                self.folder,
                progress,
                outputs=self.outputs or None,
                text=self.text,
                n_lines=self.lines,
            )
        if self.json:
            print(json.dumps(dataclasses.asdict(done), default=str, ensure_ascii=False))
        else:
            print(_said(done))
        return 0


def _said(done: ExportedTensorFlow) -> str:
    from xformer.interop.export.portable_card import compared

    takes = "texts and token ids" if done.text else "token ids"
    first, *rest = compared(done.versions, done.outputs_compared, done.ids_compared)
    lines = [
        f"{done.folder}: {', '.join(done.outputs)} of {takes}; texts are cut after {done.max_length} tokens;"
        f" {done.bytes / 1e6:.1f} MB",
        first,
        *(f"  {line}" for line in rest),
    ]
    return "\n".join(lines)
