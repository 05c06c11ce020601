"""Corpus statistics: amounts, lengths, scripts and duplicates per language; languages per group."""

from __future__ import annotations

import json
import os
import unicodedata
from array import array
from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.data.corpus import Corpus, open_corpus
from xformer.data.dedup_keys import DedupKeys, text_hash
from xformer.data.groups import group_hash, starts
from xformer.data.reporting import ProgressCallback, reported

QUANTILES = (0.01, 0.5, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class LanguageStatistics:
    """One language in one split.

    Attributes:
        records: number of texts.
        groups: number of groups with a text in this language.
        coverage: share of the split's groups that these are.
        chars: code points.
        bytes: UTF-8 bytes.
        length_quantiles: characters per text at `QUANTILES`: 1%, median, 90%, 99%, longest.
        scripts: share of letters in each script, the largest first, without those below 0.1%.
        duplicates: texts with the deduplication key of an earlier text.
    """

    records: int
    groups: int
    coverage: float
    chars: int
    bytes: int
    length_quantiles: tuple[int, ...]
    scripts: dict[str, float]
    duplicates: int


@dataclass(frozen=True)
class SplitStatistics:
    """One split.

    Attributes:
        records: number of texts.
        groups: number of groups.
        languages: by tag, sorted.
        languages_per_group: number of groups, by their number of languages.
    """

    records: int
    groups: int
    languages: dict[str, LanguageStatistics]
    languages_per_group: dict[int, int]


@dataclass(frozen=True)
class CorpusStatistics:
    """Statistics of every split, by name."""

    splits: dict[str, SplitStatistics]

    def to_json(self) -> str:
        """The statistics as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)

    def table(self, split: str = "train") -> str:
        """One split as a plain-text table, the largest language first."""
        part = self.splits[split]
        lines = [
            f"{split}: {part.records:,} texts in {len(part.languages)} languages, {part.groups:,} groups",
            f"{'language':10} {'texts':>9} {'groups':>8} {'cover':>6} {'chars':>12} {'bytes':>12} "
            f"{'median':>7} {'99%':>6} {'longest':>8} {'dup':>6}  scripts",
        ]
        for tag, row in sorted(part.languages.items(), key=lambda item: (-item[1].records, item[0])):
            _, median, _, most, longest = row.length_quantiles
            scripts = ", ".join(f"{script} {share:.0%}" for script, share in list(row.scripts.items())[:3])
            lines.append(
                f"{tag:10} {row.records:9,} {row.groups:8,} {row.coverage:6.1%} {row.chars:12,} "
                f"{row.bytes:12,} {median:7,} {most:6,} {longest:8,} {row.duplicates:6,}  {scripts}"
            )
        return "\n".join(lines)


def corpus_statistics(
    folder: str | os.PathLike[str], progress: ProgressCallback | None = None
) -> CorpusStatistics:
    """Compute the statistics in one pass. Memory: about 30 bytes per record of the largest split.

    Args:
        folder: a folder that `import_corpus` wrote.
        progress: called with ("count SPLIT", records done, records in all).

    Raises:
        InputError: the corpus is missing or damaged.
    """
    corpus = open_corpus(folder)
    return CorpusStatistics({split: _split(corpus, split, progress) for split in corpus.manifest.splits})


class _Tally:
    """Running counts of one language."""

    def __init__(self) -> None:
        self.lengths: Counter[int] = Counter()
        self.letters: Counter[str] = Counter()
        self.bytes = 0


def _split(corpus: Corpus, split: str, progress: ProgressCallback | None) -> SplitStatistics:
    tags = corpus.manifest.languages
    number_of = {tag: number for number, tag in enumerate(tags)}
    tallies = [_Tally() for _ in tags]
    language, group, key = array("H"), array("Q"), array("Q")
    dedup_key, total = DedupKeys(), corpus.manifest.split(split).total.records
    for record in reported(corpus.records(split), f"count {split}", total, progress):
        tally = tallies[number_of[record.language]]
        tally.lengths[len(record.text)] += 1
        tally.letters.update(record.text)
        tally.bytes += len(record.text.encode())
        language.append(number_of[record.language])
        group.append(group_hash(record.group))
        key.append(text_hash(dedup_key(record.text)))
    languages, groups, keys = np.array(language), np.array(group), np.array(key)
    in_group = _distinct(languages, groups)
    distinct_keys = _distinct(languages, keys)
    n_groups = len(np.unique(groups))
    groups_per_language = np.bincount(in_group[0], minlength=len(tags))
    keys_per_language = np.bincount(distinct_keys[0], minlength=len(tags))
    _, spread = np.unique(in_group[1], return_counts=True)
    found = {
        tag: LanguageStatistics(
            records=tally.lengths.total(),
            groups=int(groups_per_language[number]),
            coverage=int(groups_per_language[number]) / n_groups,
            chars=sum(length * count for length, count in tally.lengths.items()),
            bytes=tally.bytes,
            length_quantiles=_quantiles(tally.lengths),
            scripts=_scripts(tally.letters),
            duplicates=tally.lengths.total() - int(keys_per_language[number]),
        )
        for number, (tag, tally) in enumerate(zip(tags, tallies, strict=True))
        if tally.lengths
    }
    per_group = dict(sorted(Counter(spread.tolist()).items()))
    return SplitStatistics(len(languages), n_groups, found, per_group)


def _distinct(
    language: NDArray[np.uint16], number: NDArray[np.uint64]
) -> tuple[NDArray[np.uint16], NDArray[np.uint64]]:
    """The different pairs of language and number."""
    order = np.lexsort((number, language))
    order = order[starts(language[order], number[order])]
    return language[order], number[order]


def _quantiles(lengths: Counter[int]) -> tuple[int, ...]:
    """For each q of `QUANTILES`, the smallest length that at least the share q of the texts do not exceed."""
    values = np.array(sorted(lengths))
    upto = np.cumsum([lengths[int(value)] for value in values])
    places = np.searchsorted(upto, np.array(QUANTILES) * upto[-1])
    return tuple(int(values[place]) for place in places)


def _scripts(characters: Counter[str]) -> dict[str, float]:
    """Shares of scripts among letters. The first word of a letter's Unicode name is its script."""
    counts: Counter[str] = Counter()
    for character, count in characters.items():
        if character.isalpha():
            script = unicodedata.name(character, "UNKNOWN").partition(" ")[0]
            counts[script if script == "CJK" else script.capitalize()] += count
    total = counts.total()
    return {script: count / total for script, count in counts.most_common() if count >= 0.001 * total}
