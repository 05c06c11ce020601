"""The `config.json` of an exported network: inputs, outputs, labels, and where texts are cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xformer.interop.export.portable import PortableRun
from xformer.storage.files import atomic_write
from xformer.version import __version__

SETTINGS = "config.json"


def settings_of(source: PortableRun) -> dict[str, Any]:
    """What a program has to know that runs the network; axes that vary are names."""
    spec = source.spec
    found: dict[str, Any] = {
        "xformer_version": __version__,
        "step": source.step,
        "inputs": {name: ["batch", "length"] for name in spec.inputs},
        "outputs": {name: spec.shape(name) for name in spec.outputs},
        "max_length": source.max_length,
    }
    if "sentence_embedding" in spec.outputs:
        found["normalised"] = spec.normalise
    if spec.head is not None:
        found["id2label"] = {str(number): label for number, label in enumerate(spec.head.labels)}
        found["multi_label"] = spec.head.multi_label
        found["labels_of"] = {"text": "texts", "pair": "pairs of texts", "words": "words"}[spec.head.example]
        found["temperature"] = source.temperature
    return found


def write_settings(settings: dict[str, Any], folder: Path) -> None:
    """Write `config.json`."""
    with atomic_write(folder / SETTINGS) as file:
        json.dump(settings, file, ensure_ascii=False, indent=1)
        file.write("\n")
