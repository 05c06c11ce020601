"""The README of a SavedModel: lines that run it, its signatures, and what was compared."""

from __future__ import annotations

from collections.abc import Sequence

from xformer.interop.export import portable_card as parts
from xformer.interop.export.portable import PortableRun


def tensorflow_card(source: PortableRun, name: str, said: Sequence[str], *, text: bool) -> str:
    """The card, as Markdown after the fields that a hub reads.

    Args:
        source: the run.
        name: of the folder.
        said: what was compared, `portable_card.compared`.
        text: whether it takes texts.
    """
    lines = use(source, name, text=text)
    return parts.page(source, name, "tensorflow", lines, said, [_signatures(source, text=text)])


def use(source: PortableRun, name: str, *, text: bool) -> str:
    """Lines of Python that run it."""
    spec, output = source.spec, source.spec.outputs[0]
    ends = ("", "_2")[: len(spec.inputs) // 2]
    some = ['["Open the file", "Datei öffnen"]', '["Save the file", "Open the file"]']
    if text:
        called = ", ".join(f"texts{end}=tf.constant({texts})" for end, texts in zip(ends, some, strict=False))
        return "\n".join(
            [
                "import tensorflow as tf",
                "import tensorflow_text  # has the operations that cut texts",
                "",
                f'network = tf.saved_model.load("{name}")',
                f'found = network.signatures["{output}"]({called})',
                f'print(found["{output}"].shape)',
                "",
            ]
        )
    lines = [
        "import tensorflow as tf",
        "from tokenizers import Tokenizer",
        "",
        f'tokenizer = Tokenizer.from_file("{name}/tokenizer.json")  # cuts, and pads',
        f'network = tf.saved_model.load("{name}")',
    ]
    given = []
    for end, texts in zip(ends, some, strict=False):
        lines.append(f"batch{end} = tokenizer.encode_batch({texts})")
        for input_name, attribute in (("input_ids", "ids"), ("attention_mask", "attention_mask")):
            rows = f"[one.{attribute} for one in batch{end}]"
            given.append(f"    {input_name}{end}=tf.constant({rows}, tf.int64),")
    return "\n".join(
        [
            *lines,
            f'found = network.signatures["{output}"](',
            *given,
            ")",
            f'print(found["{output}"].shape)',
            "",
        ]
    )


def _signatures(source: PortableRun, *, text: bool) -> str:
    names = ", ".join(f"`{name}`" for name in source.spec.outputs)
    what = "texts" if text else "token ids"
    return (
        f"Signatures: `tokens`, all outputs of token ids; `serving_default`, all outputs of {what}; {names}:"
        f" that output alone of {what}.\n"
    )
