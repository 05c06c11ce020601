"""Texts from outside a run, as its evaluation takes them: token ids, languages, and sets that are compared.

Shapes: E examples, T tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xformer.data.chunks import cut_points
from xformer.data.corpus import open_corpus
from xformer.data.groups import group_hash
from xformer.data.manifest import MANIFEST_NAME, Source
from xformer.data.record import Record, normalize_language
from xformer.data.reporting import ProgressCallback, reported
from xformer.data.shard_index import ShardsInfo
from xformer.data.shards import TokenShards
from xformer.data.split import SPLITS
from xformer.errors import InputError
from xformer.evaluation.names import some
from xformer.evaluation.outside.folder import find_aligned
from xformer.evaluation.outside.tags import is_known_language, match_language
from xformer.evaluation.parallel_texts import one_text_per_group, text_numbers
from xformer.evaluation.plan import RetrievalTexts, settle_pivot, shared_messages
from xformer.tokenizer import Tokenizer

_BATCH = 4096


@dataclass(frozen=True)
class ComparedSet:
    """Texts that are compared with one another.

    Attributes:
        name: of the data: `tatoeba`, `test`.
        label: the same with the codes of its languages: `tatoeba deu-eng`.
        texts: what retrieval compares.
    """

    name: str
    label: str
    texts: RetrievalTexts


@dataclass(frozen=True)
class OutsideTexts:
    """All texts of a corpus or a folder.

    Attributes:
        name: of the corpus or folder.
        split: what of it was read: a split, `all`, or the names of sets of files.
        sha256: hash of what was read.
        records: the texts, unchanged.
        shards: the same as token ids. Its languages are those of the run, in their order, then others.
        sets: what retrieval compares; empty where nothing has translations.
        tags: the run's tag of each tag or code in the data that differs from it.
        notes: what was left out or replaced, in sentences.
    """

    name: str
    split: str
    sha256: str
    records: tuple[Record, ...]
    shards: TokenShards
    sets: tuple[ComparedSet, ...]
    tags: dict[str, str]
    notes: tuple[str, ...]

    def for_bits(self, most: int) -> NDArray[np.int64]:
        """Examples (E,) that bits per byte are measured on: of each language, different ones, spread evenly.

        Args:
            most: how many of a language.
        """
        language = np.asarray(self.shards.language).astype(np.int64)
        numbers = text_numbers(self.shards.take(np.arange(len(self.shards))))
        once = np.sort(np.unique(np.column_stack([numbers, language]), axis=0, return_index=True)[1])
        chosen = []
        for number in np.unique(language[once]):
            rows = once[language[once] == number]
            places = np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)
            chosen.append(rows[places])
        return np.sort(np.concatenate(chosen))


@dataclass(frozen=True)
class _Read:
    """Records of one name, and the pivot of their files; None for that of the run."""

    name: str
    label: str
    records: list[Record]
    pivot: str | None


def read_outside(
    path: Path,
    tokenizer: Tokenizer,
    languages: Sequence[str],
    *,
    max_length: int,
    configured_pivot: str,
    split: str | None = None,
    pivot: str | None = None,
    min_messages: int | None = None,
    progress: ProgressCallback | None = None,
) -> OutsideTexts:
    """Read a corpus or a folder of line-aligned files; all of it is in memory.

    Args:
        path: the folder.
        tokenizer: of the run.
        languages: tags of the run.
        max_length: longest text that is compared, in tokens; longer ones are cut, and left out of retrieval.
        configured_pivot: tag of the run's pivot.
        split: what to read. Of a corpus: a split or `all`; None for test, or all where that is empty. Of a
            folder: the name of a set, see `find_aligned`.
        pivot: tag of another pivot that the user asks for.
        min_messages: languages with fewer messages are left out; None: of a corpus as in
            `RetrievalTexts.of`, of files none is.
        progress: called with (what, texts done, texts in all or None).

    Raises:
        InputError: the folder is neither, is damaged, or does not have the split or the pivot.
    """
    if not path.is_dir():
        raise InputError(
            f"--on {path}: expected the folder of a corpus, or of line-aligned files, or the name declaration"
        )
    if (path / MANIFEST_NAME).is_file():
        read, split, digest, notes = _read_corpus(path, split, progress)
    else:
        read, split, digest, notes = _read_folder(path, configured_pivot, split, pivot, progress)
        min_messages = 1 if min_messages is None else min_messages
    found = {record.language for one in read for record in one.records}
    tags = {tag: known for tag in sorted(found) if (known := match_language(tag, languages)) is not None}
    notes += _on_tags(tags, found, languages)
    everything = [*languages, *sorted(found - set(tags) - set(languages))]
    records = tuple(record for one in read for record in one.records)
    if not records:
        raise InputError(f"--on {path}: expected texts, found none")
    shards = _shards(records, tokenizer, everything, tags, max_length, split, digest, progress)
    if cut := int(np.count_nonzero(np.bincount(np.asarray(shards.record)) > 1)):
        notes.append(f"{cut:,} texts have more than {max_length} tokens; retrieval leaves them out")
    sets = _sets(read, shards, tags, configured_pivot, pivot, min_messages, notes)
    return OutsideTexts(
        name=path.resolve().name,
        split=split,
        sha256=digest,
        records=records,
        shards=shards,
        sets=tuple(sets),
        tags={tag: known for tag, known in tags.items() if tag != known},
        notes=tuple(notes),
    )


def _read_corpus(
    path: Path, split: str | None, progress: ProgressCallback | None
) -> tuple[list[_Read], str, str, list[str]]:
    corpus, notes = open_corpus(path), []
    entries = corpus.manifest.splits
    if split is None:
        split = "test" if entries["test"].total.records else "all"
        if split == "all":
            notes.append("the corpus has no test split; all of it is read")
    if split not in (*SPLITS, "all"):
        raise InputError(f"--split: expected one of {', '.join(SPLITS)} or all, of a corpus; got {split!r}")
    names = list(SPLITS) if split == "all" else [split]
    in_all = sum(entries[name].total.records for name in names)
    records = [record for name in names for record in corpus.records(name)]
    if progress:
        progress("read", in_all, in_all)
    hashes = "".join(entries[name].file.sha256 for name in names)
    digest = hashes if len(names) == 1 else hashlib.sha256(hashes.encode()).hexdigest()
    return [_Read(split, split, records, None)], split, digest, notes


def _read_folder(
    path: Path, configured: str, split: str | None, pivot: str | None, progress: ProgressCallback | None
) -> tuple[list[_Read], str, str, list[str]]:
    sets, notes = find_aligned(path, configured, pivot, split)
    files = [file for one in sets for file in one.files.values()]
    digest = Source.of_folder(path, files, "unknown").sha256 or ""
    read = [
        _Read(one.name, one.label, list(one.records()), normalize_language(one.pivot))
        for one in reported(sets, "read", len(sets), progress)
    ]
    if empty := [one.label for one in read if not one.records]:
        notes.append(f"left out, without text: {', '.join(empty)}")
        read = [one for one in read if one.records]
    names = list(dict.fromkeys(one.name for one in sets))
    return read, names[0] if len(names) == 1 else "all" if split is None else split, digest, notes


def _on_tags(tags: dict[str, str], found: set[str], languages: Sequence[str]) -> list[str]:
    """Sentences about tags that mean another tag of the run, and tags of no known language."""
    replaced = [f"{tag} is {known}" for tag, known in tags.items() if tag != known]
    unknown = sorted(tag for tag in found - set(tags) if not is_known_language(tag))
    notes = [f"language tags: {some(replaced)} in this run"] if replaced else []
    if unknown:
        notes.append(f"no language is known by {some(unknown)}; counted as not seen in training")
    return notes


def _sets(
    read: Sequence[_Read],
    shards: TokenShards,
    tags: dict[str, str],
    configured: str,
    asked: str | None,
    min_messages: int | None,
    notes: list[str],
) -> list[ComparedSet]:
    """What retrieval compares; notes say what is replaced."""
    firsts = np.cumsum([0, *(len(one.records) for one in read)])
    record, examples = np.asarray(shards.record), one_text_per_group(shards)
    numbers = text_numbers(shards.take(examples))
    found = []
    for one, (start, stop) in zip(read, pairwise(firsts.tolist()), strict=True):
        if one.pivot is None:
            if not (shared := shared_messages(shards)):
                notes.append("retrieval is left out: no text has a translation")
                continue
            tag, said = settle_pivot(shards, configured, asked, shared)
            notes += said
            found.append(ComparedSet(one.name, one.label, RetrievalTexts.of(shards, tag, min_messages)))
            continue
        rows = (record[examples] >= start) & (record[examples] < stop)
        tag = tags.get(one.pivot, one.pivot)
        number = shards.languages.index(tag)
        texts = RetrievalTexts(shards, examples[rows], numbers[rows], number, 0, min_messages or 1)
        found.append(ComparedSet(one.name, one.label, texts))
    return found


def _shards(
    records: Sequence[Record],
    tokenizer: Tokenizer,
    languages: Sequence[str],
    tags: dict[str, str],
    max_length: int,
    split: str,
    digest: str,
    progress: ProgressCallback | None,
) -> TokenShards:
    """The records as token shards in memory; `record` is the place in `records`."""
    numbers = {tag: number for number, tag in enumerate(languages)}
    rows: list[tuple[int, ...]] = []
    tokens: list[NDArray[np.int32]] = []
    for start in range(0, len(records), _BATCH):
        batch = records[start : start + _BATCH]
        encoded = tokenizer.encode_batch([record.text for record in batch])
        for place, (record, ids) in enumerate(zip(batch, encoded, strict=True), start):
            if not len(ids):
                continue
            tokens.append(ids)
            cuts = cut_points(len(ids), max_length)
            n_bytes = len(record.text.encode()) // (len(cuts) - 1)
            language = numbers[tags.get(record.language, record.language)]
            of_text = n_bytes, language, group_hash(record.group), place, len(cuts) - 1
            rows += [(end - begin, *of_text) for begin, end in pairwise(cuts)]
        if progress:
            progress("tokenise", start + len(batch), len(records))
    table = np.array(rows, dtype=np.int64).reshape(-1, 6)
    names = ("n_tokens", "n_bytes", "language", "group", "record", "pieces")
    columns: dict[str, NDArray[np.integer]] = {name: table[:, at] for at, name in enumerate(names)}
    columns["n_tokens"] = columns["n_tokens"].astype(np.uint32)
    info = ShardsInfo(
        split=split,
        split_sha256=digest,
        tokenizer=tokenizer.fingerprint(),
        vocab_size=tokenizer.vocab_size,
        dtype="<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4",
        max_length=max_length,
        bytes_per_shard=1 << 40,
        languages=tuple(languages),
        empty_records=len(records) - len(tokens),
        shards=(),
        columns={},
    )
    flat = np.concatenate(tokens) if tokens else np.empty(0, dtype=np.int32)
    return TokenShards.in_memory(flat, columns, info)
