"""`xformer export hf`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from xformer.cli.arguments import OnByDefault
from xformer.errors import InputError

if TYPE_CHECKING:
    from xformer.interop.export.compare import Comparison
    from xformer.interop.export.folder import Exported
    from xformer.interop.export.translator import ExportedTranslator
    from xformer.progress import Progress


@dataclass(frozen=True)
class ExportHuggingface:
    """Write a folder of Hugging Face, which transformers and sentence-transformers load without code of ours.

    xformer export hf runs/demo exported/demo

    Token ids compared on the whole corpus: xformer export hf runs/demo exported/demo --lines all

    Sent to the hub, where nobody else sees it: xformer export hf runs/demo exported/demo --push me/demo

    transformers' AutoModel, AutoModelForMaskedLM, AutoTokenizer and pipeline load the folder, and
    SentenceTransformer(FOLDER); of a run of `xformer finetune classify`,
    AutoModelForSequenceClassification does. The model card has the licences of the data.

    Before the folder is put in place, these libraries open it, and token ids, outputs and sentence vectors
    are compared with the run's. If they differ, nothing is written and the exit status is 2.

    Of a run of `xformer finetune translate`, AutoModelForSeq2SeqLM and AutoTokenizer translate, and
    CTranslate2 converts the folder: token ids, logits, and translations with beams of 1 and 4 are compared.

    A run of `xformer import hf` gives back the folder that it came from, tokenizer and settings unchanged.
    """

    run: tyro.conf.Positional[Path]
    """Run directory of `xformer pretrain`, `xformer finetune` or `xformer import`."""
    folder: tyro.conf.Positional[Path]
    """The folder to write: new, or empty."""
    lines: int | Literal["all"] = 10_000
    """Lines of the run's corpus, and as many random ones, on which token ids are compared. `all`: the whole
    corpus, and 100,000 random ones. Of a translator all its test texts are compared."""
    compare: OnByDefault = True
    """Do not compare with the run, which needs the extra `hf`."""
    push: str | None = None
    """Also upload the folder to this repository of the Hugging Face hub, ORG/NAME, with your own login (`hf
    auth login`). A new repository is private."""
    public: bool = False
    """With --push: a new repository can be seen by all."""
    json: bool = False
    """Print one JSON object and nothing else on standard output."""

    def run_command(self) -> int:
        """Write the folder, say what was compared, and return the exit status."""
        from xformer.progress import Progress
        from xformer.storage.outputs import check_output_folder

        if self.lines != "all" and self.lines < 1:
            raise InputError(f"--lines: expected a whole number from 1, or all, got {self.lines}")
        if self.public and self.push is None:
            raise InputError("--public: expected --push as well")
        check_output_folder(self.folder, new=True)
        if self.push is not None:
            from xformer.interop.export.push import check_repository

            check_repository(self.push)
        with Progress() as progress:
            done = self._export(progress)
            if self.push is not None:
                from xformer.interop.export.push import push_folder

                progress.say(f"pushed: {push_folder(self.folder, self.push, public=self.public)}")
        if self.json:
            print(json.dumps(dataclasses.asdict(done), default=str, ensure_ascii=False))
        else:
            print(_said(done))
        return 0

    def _export(self, progress: Progress) -> Exported | ExportedTranslator:
        from xformer.interop.export.folder import export_huggingface
        from xformer.interop.export.translator import export_translator
        from xformer.runs.find import find_run
        from xformer.runs.kind import TRANSLATION, task_of

        n_lines = None if self.lines == "all" else self.lines
        export = export_translator if task_of(find_run(self.run)) == TRANSLATION else export_huggingface
        return export(self.run, self.folder, progress, n_lines=n_lines, comparing=self.compare)


def _said(done: Exported | ExportedTranslator) -> str:
    from xformer.interop.export.translator import ExportedTranslator

    if isinstance(done, ExportedTranslator):
        return _said_of_translator(done)
    lines = [
        f"{done.folder}: {', '.join(done.architectures)}; sentence vectors of {done.vector_width} coordinates"
        f" after {done.vector_blocks} blocks; texts are cut after {done.max_length} tokens"
    ]
    if done.given_back:
        back = "the files are those that were imported; the weights were read back, and are the run's"
        return "\n".join([*lines, back])
    if (head := done.head_comparison) is not None:
        return "\n".join(
            [
                *lines,
                f"compared with transformers {head.version}: logits of {head.texts:,} random texts, largest"
                f" error {head.logits_error:.1e} of the largest; its tokenizer cuts {head.same_ids:,} of them"
                " the same",
            ]
        )
    if done.comparison is None:
        return "\n".join([*lines, "not compared with the run"])
    return "\n".join([*lines, *_compared(done.comparison)])


def _said_of_translator(done: ExportedTranslator) -> str:
    first = (
        f"{done.folder}: {', '.join(done.architectures)}; a source begins with {' or '.join(done.tags)}, and"
        f" has at most {done.max_length} tokens"
    )
    if (found := done.comparison) is None:
        return f"{first}\nnot compared with the run"
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    n_lines = found.test_lines + found.fuzzed_lines
    ties = f"; the other {found.ties:,} are ties" if found.ties else ""
    rounded = f"; {found.rounded:,} differ by rounding, and not in float64" if found.rounded else ""
    return "\n".join(
        [
            first,
            f"compared with {versions}:",
            f"  token ids: {n_lines - found.ties:,} of {n_lines:,} lines equal ({found.test_lines:,} test"
            f" texts, {found.fuzzed_lines:,} random lines in {found.scripts} blocks of Unicode){ties}",
            f"  logits of {found.texts:,} texts: largest error {found.logits_error:.1e} of the largest",
            f"  translations of these, with beams of 1 and 4: the same{rounded}",
        ]
    )


def _compared(found: Comparison) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    n_lines = found.corpus_lines + found.fuzzed_lines
    lines = [
        f"compared with {versions}:",
        f"  token ids: {n_lines - len(found.ties):,} of {n_lines:,} lines equal ({found.corpus_lines:,} of"
        f" the corpus, {found.fuzzed_lines:,} random ones in {found.scripts} blocks of Unicode)",
    ]
    for tie in found.ties[:3]:
        lines.append(f"  a tie of two cuts, equally probable: {tie.text!r}")
    if len(found.ties) > 3:
        lines.append(f"  and {len(found.ties) - 3:,} ties more; what a tie becomes, rounding decides")
    logits = "" if found.logits_error is None else f", logits {found.logits_error:.1e}"
    lines.append(
        f"  outputs of {found.texts:,} texts: largest error {found.hidden_error:.1e} of the largest hidden"
        f" state{logits}; smallest cosine of sentence vectors {found.least_cosine:.7f}"
    )
    return lines
