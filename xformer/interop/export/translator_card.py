"""The model card of an exported translator: how to use it, its scores, its data and their licence."""

from __future__ import annotations

import json

from xformer.evaluation.translation.report import TranslationReport
from xformer.interop.export.translator_compare import BEAMS, TranslatorComparison
from xformer.interop.huggingface.translation_tokenizer import tag_of
from xformer.translation.data_record import TranslationRecord
from xformer.translation.evaluate import results_of
from xformer.translation.load import TranslationRun
from xformer.translation.model_card import data, limits, summary, training


def translator_card(opened: TranslationRun, name: str, comparison: TranslatorComparison | None) -> str:
    """The card, as Markdown after the fields that a hub reads.

    Args:
        opened: the run.
        name: of the folder.
        comparison: of the folder with the run; None where it was left out.
    """
    run, config = opened.run, opened.config
    report = TranslationReport.load_if_there(run.translation)
    record = TranslationRecord.load(run) if run.translated_data.is_file() else None
    parts = [
        _fields(opened),
        f"# {name}\n",
        summary(config),
        "## Use\n",
        _use(opened, name),
        "## Limits\n",
        *(
            f"- {line}"
            for line in [*limits(config, 0 if report is None else report.seen), *_differences(opened)]
        ),
        "\n## Compared with the run\n",
        _compared(comparison),
        "## Results\n",
        (report and results_of(report)) or "Not tested.\n",
        "## Training\n",
        training(run, config),
        *([] if record is None else ["## Data\n", data(record)]),
    ]
    return "\n".join(parts)


def _fields(opened: TranslationRun) -> str:
    options = opened.config.translation
    # The hub knows languages by their first part. In quotes: `no`, Norwegian, is a truth value in YAML.
    languages = sorted({tag.split("-")[0] for tag in (*options.sources, *options.targets)})
    lines = ["library_name: transformers", "pipeline_tag: translation"]
    lines += [
        f"tags: {json.dumps(['translation', 'marian', 'xformer'])}",
        f"language: {json.dumps(languages)}",
    ]
    return "\n".join(["---", *lines, "---\n"])


def _use(opened: TranslationRun, name: str) -> str:
    tags = ", ".join(f"`{tag_of(target)}`" for target in opened.config.translation.targets)
    tag = tag_of(opened.config.translation.targets[0])
    return f"""Each text begins with the tag of the language to write and a space: {tags}.

```python
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForSeq2SeqLM.from_pretrained("{name}")
inputs = tokenizer(["{tag} A text."], return_tensors="pt", padding=True)
print(tokenizer.batch_decode(model.generate(**inputs), skip_special_tokens=True))
```

For CTranslate2: `ct2-transformers-converter --model {name} --output_dir ct2`. Then:

```python
import ctranslate2
from transformers import AutoTokenizer

translator, tokenizer = ctranslate2.Translator("ct2"), AutoTokenizer.from_pretrained("{name}")
source = tokenizer.convert_ids_to_tokens(tokenizer.encode("{tag} A text."))
found = translator.translate_batch([source], beam_size=4, min_decoding_length=0)[0].hypotheses[0]
print(tokenizer.decode(tokenizer.convert_tokens_to_ids(found), skip_special_tokens=True))
```
"""


def _differences(opened: TranslationRun) -> list[str]:
    options = opened.config.translation
    return [
        f"A source of more than {options.max_tokens + 2} tokens, tag and end among them, is cut where"
        " `truncation=True` is given. xformer refuses it.",
        "A tag or `<pad>` inside of a text is found there. To xformer it is characters.",
        "Of bytes in a row that are not all UTF-8, as a bad translation has them, `tokenizers` writes a"
        " U+FFFD for each; xformer writes those that are UTF-8.",
        "Where two cuts of a text into pieces are equally probable, as in a run of one character,"
        " `tokenizers` may take another one than xformer.",
    ]


def _compared(comparison: TranslatorComparison | None) -> str:
    if comparison is None:
        return "Not compared.\n"
    versions = ", ".join(f"{name} {version}" for name, version in comparison.versions.items())
    ties = f"{comparison.ties:,} differ, all of them ties" if comparison.ties else "all equal"
    beams = " and ".join(map(str, BEAMS))
    rounded = "all the same"
    if comparison.rounded:
        rounded = f"{comparison.rounded:,} differ by rounding, and are the same in float64"
    return (
        f"When it was exported, with {versions}:\n\n"
        f"- token ids of {comparison.test_lines:,} test texts and {comparison.fuzzed_lines:,} random lines in"
        f" {comparison.scripts} blocks of Unicode: {ties}\n"
        f"- logits of {comparison.texts:,} texts: largest error {comparison.logits_error:.0e} of the"
        " largest\n"
        f"- translations of these texts with beams of {beams}: {rounded}\n"
    )
