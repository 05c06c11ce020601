"""The README of an exported ONNX graph: ten lines that run it, and what was compared."""

from __future__ import annotations

from collections.abc import Sequence

from xformer.interop.export import portable_card as parts
from xformer.interop.export.portable import PortableRun


def onnx_card(source: PortableRun, name: str, said: Sequence[str]) -> str:
    """The card, as Markdown after the fields that a hub reads.

    Args:
        source: the run.
        name: of the folder.
        said: what was compared, `portable_card.compared`.
    """
    return parts.page(source, name, "onnxruntime", use(source, name), said)


def use(source: PortableRun, name: str) -> str:
    """Lines of Python that run the graph with numpy, onnxruntime and tokenizers alone."""
    head = source.spec.head
    lines = [
        "import json",
        "from pathlib import Path",
        "",
        "import numpy as np",
        "import onnxruntime",
        "from tokenizers import Tokenizer",
        "",
    ]
    labelled = head is not None and "probabilities" in source.spec.outputs
    lines = lines if labelled else lines[3:]
    lines += [
        f'tokenizer = Tokenizer.from_file("{name}/tokenizer.json")  # cuts, and pads',
        f'session = onnxruntime.InferenceSession("{name}/model.onnx")',
    ]
    lines += _fed_words() if head is not None and head.example == "words" else _fed_texts(source)
    if labelled:
        lines += [
            f'settings = json.loads(Path("{name}/config.json").read_text(encoding="utf-8"))',
            '(found,) = session.run(["probabilities"], fed)',
        ]
        places = "found[0, first]" if head is not None and head.example == "words" else "found"
        lines.append(
            f"print([(settings['id2label'][str(row.argmax())], float(row.max())) for row in {places}])"
        )
    else:
        output = source.spec.outputs[0]
        lines += [f'(found,) = session.run(["{output}"], fed)', "print(found.shape)"]
    return "\n".join(lines) + "\n"


def _fed_texts(source: PortableRun) -> list[str]:
    texts = ['["Open the file", "Datei öffnen"]', '["Save the file", "Open the file"]']
    lines, inputs = [], []
    for end, some in zip(("", "_2"), texts, strict=True):
        if f"input_ids{end}" in source.spec.inputs:
            lines.append(f"batch{end} = tokenizer.encode_batch({some})")
            for name, attribute in (("input_ids", "ids"), ("attention_mask", "attention_mask")):
                rows = f"[one.{attribute} for one in batch{end}]"
                inputs.append(f'    "{name}{end}": np.array({rows}, dtype=np.int64),')
    return [*lines, "fed = {", *inputs, "}"]


def _fed_words() -> list[str]:
    """Each word is cut by itself, and its first piece that is more than a space has its label."""
    return [
        'pieces = tokenizer.encode_batch("Open the file".split(), add_special_tokens=False)',
        "ids = [[n for n, real in zip(one.ids, one.attention_mask) if real] for one in pieces]",
        'skipped = [len(own) > 1 and one.tokens[0] == " " for own, one in zip(ids, pieces)]',
        "first = np.cumsum([0] + [len(own) for own in ids[:-1]]) + skipped",
        "row = np.array([sum(ids, [])], dtype=np.int64)",
        'fed = {"input_ids": row, "attention_mask": np.ones_like(row)}',
    ]
