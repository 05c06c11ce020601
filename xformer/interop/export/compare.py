"""Compare an exported folder, opened by other libraries, with the run that it was written from.

Token ids are compared on lines of the run's corpus and on fuzzed ones; hidden states, logits and sentence
vectors on some of them.

Shapes: T tokens, B texts, C d_model.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from xformer.errors import InputError
from xformer.interop.export.fuzz import SCRIPTS, fuzzed_lines
from xformer.interop.export.ids import Difference, IdComparison
from xformer.interop.export.quiet import quiet
from xformer.interop.export.source import Source
from xformer.model.packed import Packed, pack
from xformer.progress import Progress

_PACKAGES = ("transformers", "tokenizers", "sentence-transformers")
_LARGEST_ERROR = 1e-4
"""Of hidden states and logits, as a share of the largest."""
_LEAST_COSINE = 0.99999
_TEXTS, _BATCH, _LINES_AT_ONCE = 128, 16, 1_000
"""Texts whose outputs are compared, in batches; lines whose ids are."""
_SAMPLE = 100_000
"""Random lines beside a whole corpus."""


@dataclass(frozen=True)
class Comparison:
    """What was compared, and how far apart it was.

    Attributes:
        versions: of the libraries.
        corpus_lines: of the run's corpus whose token ids were compared.
        fuzzed_lines: that were made up.
        scripts: in these.
        ties: lines where two cuts are equally probable, and the libraries take different ones.
        texts: whose outputs were compared.
        hidden_error: largest difference of the last hidden states, as a share of the largest.
        logits_error: the same of the masked-LM head or of the classifier; None where there is none.
        least_cosine: smallest cosine of a sentence vector with ours.
    """

    versions: dict[str, str]
    corpus_lines: int
    fuzzed_lines: int
    scripts: int
    ties: tuple[Difference, ...]
    texts: int
    hidden_error: float
    logits_error: float | None
    least_cosine: float


def missing_packages() -> list[str]:
    """The libraries that a comparison needs and that are not installed."""
    return [name for name in _PACKAGES if not _version(name)]


def compare(source: Source, folder: Path, n_lines: int | None, progress: Progress) -> Comparison:
    """Compare a folder with its run.

    Raises:
        InputError: they differ, by more than rounding or a tie of two cuts; the message names the input.
    """
    if absent := missing_packages():
        raise InputError(f"{', '.join(absent)}: not installed; pip install 'xformer[hf]', or --no-compare")
    with quiet():
        real = list(islice(source.corpus(), n_lines or _SAMPLE))
        made = list(fuzzed_lines(0, n_lines or _SAMPLE, real))
        corpus = islice(source.corpus(), n_lines)
        ids, compared = _compare_ids(source, folder, chain(made, corpus), progress)
        texts = _spread(real, _TEXTS // 2) + _spread(made, _TEXTS // 2)
        chosen = [
            text for text in texts if 0 < len(source.tokenizer.encode_masked(text)) <= source.max_length
        ]
        hidden, logits = _compare_outputs(source, folder, chosen, progress)
        cosine = _compare_vectors(source, folder, chosen)
    return Comparison(
        {name: _version(name) for name in _PACKAGES},
        compared - len(made),
        len(made),
        len(SCRIPTS),
        tuple(ids.ties),
        len(chosen),
        hidden,
        logits,
        cosine,
    )


def _compare_ids(
    source: Source, folder: Path, lines: Iterable[str], progress: Progress
) -> tuple[IdComparison, int]:
    """The ties, and the number of lines; some lines are in memory at a time."""
    from transformers import AutoTokenizer

    theirs, found = AutoTokenizer.from_pretrained(folder), IdComparison(source.tokenizer)
    iterator, done = iter(lines), 0
    while some := list(islice(iterator, _LINES_AT_ONCE)):
        found.add(some, theirs(some, verbose=False)["input_ids"])
        done += len(some)
        progress("compare ids", done, None)
    return found, done


def _compare_outputs(
    source: Source, folder: Path, texts: Sequence[str], progress: Progress
) -> tuple[float, float | None]:
    """The largest errors of hidden states and of logits."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, base = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    headed = _headed(source, folder)
    hidden_error, logits_error, done = 0.0, 0.0, 0
    for some in _batched(texts, _BATCH):
        encoded = tokenizer(list(some), padding=True, return_tensors="pt")
        batch = pack([source.tokenizer.encode_masked(text) for text in some], sort=False)
        with torch.no_grad():
            ours = source.encoder(batch)
            theirs = base(**encoded).last_hidden_state[encoded["attention_mask"].bool()]
            hidden_error = max(hidden_error, _error("hidden states", ours, theirs, some))
            if headed is not None:
                out = headed(**encoded).logits
                if source.classes is None:
                    out = out[encoded["attention_mask"].bool()]
                logits_error = max(logits_error, _error("logits", _logits(source, ours, batch), out, some))
        done += len(some)
        progress("compare outputs", done, len(texts))
    return hidden_error, None if headed is None else logits_error


def _headed(source: Source, folder: Path) -> Any:
    from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification

    if source.classes is not None:
        return AutoModelForSequenceClassification.from_pretrained(folder).eval()
    return None if source.head is None else AutoModelForMaskedLM.from_pretrained(folder).eval()


def _logits(source: Source, hidden: Tensor, batch: Packed) -> Tensor:
    if (classes := source.classes) is not None:
        width = classes.weight.shape[1]
        means = torch.stack([part.mean(0) for part in hidden[:, :width].split(batch.lengths)])
        return F.linear(F.rms_norm(means, (width,), eps=1e-12), classes.weight, classes.bias)
    assert source.head is not None
    found: Tensor = source.head(hidden, torch.arange(len(hidden)), source.encoder.token_embedding)
    return found


def _error(what: str, ours: Tensor, theirs: Tensor, texts: Sequence[str]) -> float:
    error = float((ours - theirs).abs().max() / ours.abs().max())
    if not error <= _LARGEST_ERROR:
        raise InputError(
            f"{what} of the exported model differ by {error:.1e} of the largest, expected at most"
            f" {_LARGEST_ERROR:.0e}; first text of the batch: {texts[0]!r}. Nothing was written"
        )
    return error


def _compare_vectors(source: Source, folder: Path, texts: Sequence[str]) -> float:
    """The smallest cosine of a sentence vector with ours."""
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(folder), device="cpu").encode(
        list(texts), batch_size=_BATCH, convert_to_tensor=True, show_progress_bar=False
    )
    batch = pack([source.tokenizer.encode_masked(text) for text in texts], sort=False)
    with torch.no_grad():
        cosines = F.cosine_similarity(source.vectors(batch), theirs)
    worst = int(cosines.argmin())
    if not cosines[worst] >= _LEAST_COSINE:
        raise InputError(
            f"sentence vector of {texts[worst]!r}: its cosine with ours is {float(cosines[worst]):.6f},"
            f" expected at least {_LEAST_COSINE}. Nothing was written"
        )
    return float(cosines[worst])


def _spread(lines: Sequence[str], n: int) -> list[str]:
    return list(lines[:: max(1, len(lines) // n)][:n])


def _batched(lines: Sequence[str], n: int) -> Iterator[Sequence[str]]:
    return (lines[begin : begin + n] for begin in range(0, len(lines), n))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
