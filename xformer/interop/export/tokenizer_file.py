"""The `tokenizer.json` of an exported network: the run's ids, cut and padded, by `tokenizers` alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from xformer.errors import InputError
from xformer.interop.export.agreement import corpus_texts
from xformer.interop.export.fuzz import SCRIPTS, fuzzed_lines
from xformer.interop.export.ids import IdComparison
from xformer.interop.export.portable import PortableRun
from xformer.interop.huggingface.tokenizer import MASK, PADDING, tokenizer_json
from xformer.progress import Progress
from xformer.storage.files import atomic_write
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.fast import FastTokenizer
from xformer.tokenizer.interface import TextTokenizer
from xformer.tokenizer.special import PAD_ID

FILE = "tokenizer.json"
_LINES_AT_ONCE = 1_000


@dataclass(frozen=True)
class IdAgreement:
    """Lines whose token ids were compared.

    Attributes:
        corpus_lines: of the run's corpus.
        fuzzed_lines: that were made up, in many scripts.
        scripts: in these.
        ties: lines where two cuts are equally probable, and `tokenizers` takes the other one.
    """

    corpus_lines: int
    fuzzed_lines: int
    scripts: int
    ties: int


def require_portable(tokenizer: TextTokenizer) -> None:
    """Check that `tokenizers` can have the tokenizer.

    Raises:
        InputError: it cannot; the message says what helps.
    """
    if not isinstance(tokenizer, Tokenizer | FastTokenizer):
        raise InputError(
            f"tokenizer: {tokenizer!r} has a SentencePiece file of another library and no {FILE}. Give the"
            f" imported folder one (AutoTokenizer.from_pretrained(…).save_pretrained(…)) and import it again"
        )


def write_tokenizer(tokenizer: TextTokenizer, max_length: int, folder: Path) -> None:
    """Write `tokenizer.json`, which cuts at `max_length` tokens, special ones included, and pads a batch."""
    if isinstance(tokenizer, Tokenizer):
        content, padding = tokenizer_json(tokenizer), (PAD_ID, PADDING)
    else:
        assert isinstance(tokenizer, FastTokenizer)
        content, padding = tokenizer.content(), tokenizer.padding()
    content |= {"truncation": _truncation(max_length), "padding": _padding(*padding)}
    with atomic_write(folder / FILE) as file:
        json.dump(content, file, ensure_ascii=False)
        file.write("\n")


def compare_ids(source: PortableRun, folder: Path, n_lines: int, progress: Progress) -> IdAgreement:
    """Compare the ids that `tokenizers` gives with the run's, on lines of its corpus and random ones.

    Raises:
        InputError: ids differ by more than a tie of two cuts; the line is named.
    """
    import tokenizers

    theirs = tokenizers.Tokenizer.from_file(str(folder / FILE))
    theirs.no_truncation()
    theirs.no_padding()

    def cut(texts: Sequence[str]) -> list[list[int]]:
        return [one.ids for one in theirs.encode_batch(list(texts))]

    return agreement_of_ids(source, cut, n_lines, "tokenizers", progress)


def agreement_of_ids(
    source: PortableRun,
    cut: Callable[[Sequence[str]], list[list[int]]],
    n_lines: int,
    who: str,
    progress: Progress,
    *,
    most: int | None = None,
) -> IdAgreement:
    """Compare the ids that another tokenizer gives with the run's.

    Args:
        source: the run.
        cut: texts to ids.
        n_lines: lines of the corpus, and as many random ones.
        who: cuts them.
        progress: says what is done.
        most: ids after which it cuts a text off; None where it does not, and finds `<mask>` in a text.

    Raises:
        InputError: ids differ by more than a tie of two cuts; the line is named.
    """
    real = corpus_texts(source, n_lines)
    made = list(fuzzed_lines(0, n_lines, real))
    if most is not None:
        real, made = (
            [line for line in some if MASK not in line and len(source.tokenizer.encode(line)) <= most]
            for some in (real, made)
        )
    lines, ties, done = [*real, *made], 0, 0
    for some in _at_once(lines):
        ids = cut(some)
        if isinstance(source.tokenizer, Tokenizer):
            found = IdComparison(source.tokenizer)
            found.add(some, ids)
            ties += len(found.ties)
        else:
            _require_equal(source.tokenizer, some, ids)
        done += len(some)
        progress(f"compare ids with {who}", done, len(lines))
    return IdAgreement(len(real), len(made), len(SCRIPTS), ties)


def _require_equal(tokenizer: TextTokenizer, texts: Sequence[str], theirs: Sequence[Sequence[int]]) -> None:
    for text, ours, other in zip(texts, tokenizer.sequences(texts, num_threads=1)[0], theirs, strict=True):
        if ours.tolist() != list(other):
            raise InputError(
                f"token ids of the exported tokenizer differ: {text!r} has {ours.tolist()} here and"
                f" {list(other)} there. Nothing was written"
            )


def _at_once(lines: Sequence[str]) -> Iterator[list[str]]:
    iterator = iter(lines)
    while some := list(islice(iterator, _LINES_AT_ONCE)):
        yield some


def _truncation(max_length: int) -> dict[str, Any]:
    return {"direction": "Right", "max_length": max_length, "strategy": "LongestFirst", "stride": 0}


def _padding(number: int, name: str) -> dict[str, Any]:
    return {
        "strategy": "BatchLongest",
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": number,
        "pad_type_id": 0,
        "pad_token": name,
    }
