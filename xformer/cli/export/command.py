"""`xformer export hf | onnx | tensorflow`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from xformer.cli.export.huggingface import ExportHuggingface
from xformer.cli.export.onnx import ExportOnnx
from xformer.cli.export.tensorflow import ExportTensorFlow


@dataclass(frozen=True)
class Export:
    """Write the model of a run for other programs, which need no code of ours.

    xformer export hf runs/demo exported/demo

    xformer export onnx runs/demo exported/demo-onnx

    xformer export tensorflow runs/demo exported/demo-tensorflow
    """

    command: (
        Annotated[ExportHuggingface, tyro.conf.subcommand("hf")]
        | Annotated[ExportOnnx, tyro.conf.subcommand("onnx")]
        | Annotated[ExportTensorFlow, tyro.conf.subcommand("tensorflow")]
    )

    def run_command(self) -> int:
        """Run the subcommand; the exit status."""
        return self.command.run_command()
