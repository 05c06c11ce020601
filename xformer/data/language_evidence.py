"""What texts are written in: their letters by script, and the frequent words that they have.

Shapes: Q texts.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xformer.data.function_words import languages_by_word, words_of
from xformer.data.languages import likely_script
from xformer.data.number_table import NumberTable
from xformer.data.words import Words

_LETTER = re.compile(r"[^\W\d_]")
_LEAST_LETTERS = 400  # of a block or file that is judged
_LEAST_WORDS = 20  # of another language, in what is judged
_TIMES = 4  # as many words of the other language as of the own
_MOSTLY, _HARDLY = 0.5, 0.25  # shares of letters in the other language's script, and in the own
_KNOWN_BY = 5  # different words of the other language
_DENSE = 0.15  # share of the words that are frequent ones, where only the other language's are known

# The first word of Unicode's names of letters, by ISO code of the script. Chinese, Japanese and Korean are
# told apart in `written_in`.
_IN_NAMES = {
    "Latn": "LATIN", "Cyrl": "CYRILLIC", "Grek": "GREEK", "Arab": "ARABIC", "Hebr": "HEBREW",
    "Armn": "ARMENIAN", "Geor": "GEORGIAN", "Deva": "DEVANAGARI", "Beng": "BENGALI", "Guru": "GURMUKHI",
    "Gujr": "GUJARATI", "Orya": "ORIYA", "Taml": "TAMIL", "Telu": "TELUGU", "Knda": "KANNADA",
    "Mlym": "MALAYALAM", "Sinh": "SINHALA", "Thai": "THAI", "Laoo": "LAO", "Tibt": "TIBETAN",
    "Mymr": "MYANMAR", "Khmr": "KHMER", "Ethi": "ETHIOPIC",
}  # fmt: skip


@dataclass
class Evidence:
    """What was seen of one language in some lines of one file.

    Attributes:
        first: the first line; 0 before any text.
        last: the last one.
        letters: how many there are, by the first word of their Unicode names.
        words: how often each known word (`function_words`) occurs.
        n_words: how many words there are in all.
    """

    first: int = 0
    last: int = 0
    letters: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    n_words: int = 0

    def see(self, first: int, last: int) -> None:
        """Note the first and the last line, at least 1, in which some texts begin."""
        self.first, self.last = min(self.first or first, first), max(self.last, last)

    def written_in(self, script: str | None) -> float:
        """Share of the letters that a language of the script has; 0 where Chinese is mixed with kana."""
        total = self.letters.total()
        if not total or script is None:
            return 0.0
        share = {name: count / total for name, count in self.letters.items()}
        kana = share.get("HIRAGANA", 0) + share.get("KATAKANA", 0)
        han, hangul = share.get("CJK", 0), share.get("HANGUL", 0)
        if script == "Jpan":
            return kana + han if kana > 0.1 else 0.0
        if script in ("Hans", "Hant", "Hani"):
            return han if kana < 0.1 else 0.0
        if script in ("Kore", "Hang"):
            return hangul + han if hangul > 0.1 else 0.0
        return share.get(_IN_NAMES.get(script, ""), 0.0)

    def looks_like(self, other: str, tag: str) -> bool:
        """Whether the text is clearly in the language `other` and not in that of `tag`."""
        if self.letters.total() < _LEAST_LETTERS:
            return False
        theirs_in, ours_in = likely_script(other), likely_script(tag)
        if ours_in is None or self.written_in(theirs_in) < _MOSTLY:
            return False
        if self.written_in(ours_in) < _HARDLY:
            return True
        theirs, ours = words_of(primary(other)), words_of(primary(tag))
        if not theirs or theirs == ours:
            return False
        found = {word: self.words[word] for word in theirs - ours if self.words[word]}
        count = sum(found.values())
        if count < _LEAST_WORDS or len(found) < _KNOWN_BY:
            return False
        if ours:
            return count >= _TIMES * sum(self.words[word] for word in ours - theirs)
        return count >= _DENSE * self.n_words

    def has_words_of(self, tag: str) -> bool:
        """Whether many words are the frequent ones of a language."""
        found = {word: self.words[word] for word in words_of(primary(tag)) if self.words[word]}
        return len(found) >= _KNOWN_BY and sum(found.values()) >= _DENSE * self.n_words

    def lacks(self, tag: str) -> bool:
        """Whether the text is clearly not in a language whose words are known: it has hardly any of them."""
        words = words_of(primary(tag))
        count = sum(self.words[word] for word in words)
        return bool(words) and self.n_words >= 5 * _LEAST_WORDS and count < 0.03 * self.n_words

    def __add__(self, other: Evidence) -> Evidence:
        first = min(first for first in (self.first, other.first) if first or not self.first + other.first)
        letters, words = self.letters + other.letters, self.words + other.words
        return Evidence(first, max(self.last, other.last), letters, words, self.n_words + other.n_words)


class EvidenceCounter:
    """Counts what many texts are written in, all at a time."""

    def __init__(self) -> None:
        # The known words that are words by the pattern: of those with marks only parts would be found.
        self._known = [word for word in languages_by_word() if all(map(_LETTER.fullmatch, word))]
        self._words = Words(str.lower, _LETTER)
        hashes = self._words(self._known)[1]
        self._table = NumberTable(hashes, np.arange(len(hashes), dtype=np.int32))
        self._names = ["", ""]  # of what is not known yet, and of what is no letter
        self._script = np.zeros(0x110000, dtype=np.uint16)  # places in `_names`

    def count(self, texts: Sequence[str], parts: Sequence[int], evidence: Sequence[Evidence]) -> None:
        """Add letters and words of texts to evidence.

        Args:
            texts: (Q,) in any language.
            parts: (Q,) to which of the evidence each belongs.
            evidence: is added to.
        """
        part = np.array(parts, dtype=np.int64)
        joined = "\0".join([*texts, ""])
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        script = self._scripts(codes)
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)) + 1
        counts = np.bincount(np.repeat(part, lengths) * len(self._names) + script)
        for key in np.flatnonzero(counts).tolist():
            which, number = divmod(key, len(self._names))
            if self._names[number]:
                evidence[which].letters[self._names[number]] += int(counts[key])
        place, word = self._words(texts)
        n_words = np.bincount(part[place], minlength=len(evidence))
        for which in np.flatnonzero(n_words).tolist():
            evidence[which].n_words += int(n_words[which])
        number_of = self._table.find(word)
        known = number_of >= 0
        keys, times = np.unique(part[place[known]] * len(self._known) + number_of[known], return_counts=True)
        for key, count in zip(keys.tolist(), times.tolist(), strict=True):
            which, number = divmod(key, len(self._known))
            evidence[which].words[self._known[number]] += count

    def _scripts(self, codes: NDArray[np.uint32]) -> NDArray[np.uint16]:
        """The places of scripts in `_names`, of each character."""
        script = self._script[codes]
        if not script.all():
            for code in np.unique(codes[script == 0]).tolist():
                self._script[code] = self._place_of(chr(code))
            script = self._script[codes]
        return script

    def _place_of(self, character: str) -> int:
        name = unicodedata.name(character, "") if character.isalpha() else ""
        name = name.partition(" ")[0]
        if name not in self._names[1:]:
            self._names.append(name)
        return self._names.index(name, 1)


def primary(tag: str) -> str:
    """A language without script and region: `pt-BR` → `pt`."""
    return tag.partition("-")[0]
