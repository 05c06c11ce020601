"""Keep named test sets out of a corpus, whatever split the corpus itself would put them in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from xformer.data.deduplicate import HeldOut, HeldOutText
from xformer.data.keys import TextKeys, text_number
from xformer.data.record import Record

# A letter of a script that writes no spaces between words counts as a word.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W\d_{_SPACELESS}]+")


@dataclass(frozen=True)
class TestSet:
    """A test set by its name, as records; only their texts and languages count.

    Attributes:
        name: what reports call it.
        records: its records, every language of it.
    """

    __test__ = False  # or pytest takes it for a test

    name: str
    records: Iterable[Record]


@dataclass
class ContaminationReport:
    """What `Decontaminator.clean` removed.

    Attributes:
        kept: records that overlap nothing.
        removed: records removed, by (test set, "exact" | "near" | "n-gram", language).
    """

    kept: int = 0
    removed: Counter[tuple[str, str, str]] = field(default_factory=Counter)


class Decontaminator:
    """Finds records that overlap a test set. Memory holds the test sets; the corpus is streamed.

    A record overlaps when it repeats a test text exactly or nearly (see `HeldOut`), or when `n` words in a
    row are in both: a test text inside a longer document, which no measure of overall likeness finds. Words
    are compared without case, punctuation and digits; in scripts without spaces each letter is a word.
    Thirteen is what GPT-3 (Brown et al. 2020) took: shorter runs are idiom.

    Args:
        test_sets: what to keep out.
        threshold: of `NearDuplicates`.
        n: words in a row.
    """

    def __init__(self, test_sets: Iterable[TestSet], *, threshold: float = 0.7, n: int = 13) -> None:
        if n < 1:
            raise ValueError(f"n: expected at least 1 word, got {n}")
        self._n = n
        self._key = TextKeys()
        self._held_out: dict[str, HeldOut] = {}
        self._runs: dict[int, str] = {}
        for test_set in test_sets:
            if test_set.name in self._held_out:
                raise ValueError(f"test sets: expected different names, got {test_set.name!r} twice")
            texts: list[HeldOutText] = []
            for record in test_set.records:
                texts.append(HeldOutText(self._key(record.text), record.language, 0))
                for run in self._runs_of(record.text):
                    self._runs.setdefault(run, test_set.name)
            self._held_out[test_set.name] = HeldOut(texts, threshold)

    def overlap(self, record: Record) -> tuple[str, str] | None:
        """The test set that `record` overlaps and how ("exact", "near", "n-gram"), or None."""
        key = self._key(record.text)
        for name, held_out in self._held_out.items():
            how = held_out.judge(key, record.language, 0)
            if how:
                return name, how
        for run in self._runs_of(record.text):
            if run in self._runs:
                return self._runs[run], "n-gram"
        return None

    def clean(self, records: Iterable[Record], report: ContaminationReport) -> Iterator[Record]:
        """The records that overlap no test set; `report` is filled as they pass."""
        for record in records:
            found = self.overlap(record)
            if found:
                report.removed[*found, record.language] += 1
            else:
                report.kept += 1
                yield record

    def _runs_of(self, text: str) -> Iterator[int]:
        words = _WORD.findall(text.casefold())
        for start in range(len(words) - self._n + 1):
            yield text_number(*words[start : start + self._n])
