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
from xformer.data.groups import distinct_rows, group_hash
from xformer.data.languages import counted, language_name
from xformer.data.reporting import ProgressCallback, reported

QUANTILES = (0.01, 0.5, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class LanguageStatistics:
    """One language in one split.

    Attributes:
        name: the language's English name.
        records: number of texts.
        groups: number of groups with a text in this language.
        coverage: share of the split's groups that these are.
        chars: code points.
        bytes: UTF-8 bytes.
        length_quantiles: characters per text at `QUANTILES`: 1%, median, 90%, 99%, longest.
        scripts: share of letters in each script, the largest first, without those below 0.1%.
        duplicates: texts with the deduplication key of an earlier text.
    """

    name: str
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
        wide = max((len(row.name) for row in part.languages.values()), default=4)
        lines = [
            f"{split}: {part.records:,} texts in {counted(len(part.languages))}, {part.groups:,} groups",
            f"{'language':10} {'name':{wide}} {'texts':>9} {'groups':>8} {'cover':>6} {'chars':>12} "
            f"{'bytes':>12} {'median':>7} {'99%':>6} {'longest':>8} {'dup':>6}  scripts",
        ]
        for tag, row in sorted(part.languages.items(), key=lambda item: (-item[1].records, item[0])):
            _, median, _, most, longest = row.length_quantiles
            scripts = ", ".join(f"{script} {share:.0%}" for script, share in list(row.scripts.items())[:3])
            lines.append(
                f"{tag:10} {row.name:{wide}} {row.records:9,} {row.groups:8,} {row.coverage:6.1%} "
                f"{row.chars:12,} {row.bytes:12,} {median:7,} {most:6,} {longest:8,} {row.duplicates:6,}  "
                f"{scripts}"
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


def _split(corpus: Corpus, split: str, progress: ProgressCallback | None) -> SplitStatistics:
    entry = corpus.manifest.split(split)
    number_of = {tag: number for number, tag in enumerate(entry.languages)}
    lengths: list[Counter[int]] = [Counter() for _ in number_of]
    characters: list[Counter[str]] = [Counter() for _ in number_of]
    language, group, key = array("H"), array("Q"), array("Q")
    dedup_key, total = DedupKeys(), entry.total.records
    for record in reported(corpus.records(split), f"count {split}", total, progress):
        number = number_of[record.language]
        lengths[number][len(record.text)] += 1
        characters[number].update(record.text)
        language.append(number)
        group.append(group_hash(record.group))
        key.append(text_hash(dedup_key(record.text)))
    languages, groups, keys = np.array(language), np.array(group), np.array(key)
    in_group = _distinct(languages, groups)
    n_groups = np.bincount(in_group[0], minlength=len(number_of))
    n_keys = np.bincount(_distinct(languages, keys)[0], minlength=len(number_of))
    _, spread = np.unique(in_group[1], return_counts=True)
    found = {
        tag: LanguageStatistics(
            name=language_name(tag),
            records=counts.records,
            groups=int(n_groups[number]),
            coverage=int(n_groups[number]) / entry.groups,
            chars=counts.chars,
            bytes=counts.bytes,
            length_quantiles=_quantiles(lengths[number]),
            scripts=_scripts(characters[number]),
            duplicates=counts.records - int(n_keys[number]),
        )
        for number, (tag, counts) in enumerate(entry.languages.items())
    }
    per_group = dict(sorted(Counter(spread.tolist()).items()))
    return SplitStatistics(total, entry.groups, found, per_group)


def _distinct(
    language: NDArray[np.uint16], number: NDArray[np.uint64]
) -> tuple[NDArray[np.uint16], NDArray[np.uint64]]:
    """The different pairs of language and number."""
    rows = distinct_rows(language, number)
    return language[rows], number[rows]


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
