"""Hints that the texts of two languages are swapped, or that a text is in another language than its tag says.

Two signs are used: the script of the letters against the script that a language is mostly written in
(CLDR), and frequent words (`function_words`) for languages of one script. Both are counted in blocks of
lines, so that a part of a file can be found. Where the signs are weak (short or mixed texts, languages that
are not known here, close relatives), nothing is said.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from xformer.data.function_words import languages_by_word, words_of
from xformer.data.languages import language_name, likely_script
from xformer.data.record import Record

_WORD = re.compile(r"[^\W\d_]+")
_LEAST_LETTERS = 400  # of a block or file that is judged
_LEAST_WORDS = 20  # of another language, in what is judged
_TIMES = 4  # as many words of the other language as of the own
_MOSTLY, _HARDLY = 0.5, 0.25  # shares of letters in the other language's script, and in the own
_KNOWN_BY = 5  # different words of the other language
_DENSE = 0.15  # share of the words that are frequent ones, where only the other language's are known
_LEAST_LINES, _MOST_BLOCKS = 500, 64  # lines that are judged together, and how many times in a file

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
class _Evidence:
    """What was seen of one language in some lines of one file: letters by script, and known words."""

    first: int = 0
    last: int = 0
    letters: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    n_words: int = 0

    def add(self, text: str, line: int, scripts: Mapping[str, str]) -> None:
        """Count one text, which begins in a line."""
        self.first, self.last = self.first or line, max(self.last, line)
        for character, count in Counter(text).items():
            if script := scripts[character]:
                self.letters[script] += count
        words = _WORD.findall(text.lower())
        self.n_words += len(words)
        known = languages_by_word()
        self.words.update(word for word in words if word in known)

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
        theirs, ours = words_of(_primary(other)), words_of(_primary(tag))
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
        found = {word: self.words[word] for word in words_of(_primary(tag)) if self.words[word]}
        return len(found) >= _KNOWN_BY and sum(found.values()) >= _DENSE * self.n_words

    def lacks(self, tag: str) -> bool:
        """Whether the text is clearly not in a language whose words are known: it has hardly any of them."""
        words = words_of(_primary(tag))
        count = sum(self.words[word] for word in words)
        return bool(words) and self.n_words >= 5 * _LEAST_WORDS and count < 0.03 * self.n_words

    def __add__(self, other: _Evidence) -> _Evidence:
        first = min(first for first in (self.first, other.first) if first or not self.first + other.first)
        letters, words = self.letters + other.letters, self.words + other.words
        return _Evidence(first, max(self.last, other.last), letters, words, self.n_words + other.n_words)


class _Scripts(dict[str, str]):
    """The first word of the Unicode name of each letter; "" for what is no letter."""

    def __missing__(self, character: str) -> str:
        name = unicodedata.name(character, "") if character.isalpha() else ""
        self[character] = name.partition(" ")[0]
        return self[character]


@dataclass(frozen=True)
class _Side:
    """One language in one file, with the evidence of each block of lines."""

    file: str
    tag: str
    blocks: dict[int, _Evidence] = field(default_factory=dict)

    @property
    def whole(self) -> _Evidence:
        return sum(self.blocks.values(), _Evidence())


class LanguageCheck:
    """Watches the records of an import, and says at the end what looks swapped.

    Memory: for every file and language, the counts of at most `_MOST_BLOCKS` blocks of lines; the blocks grow
    with the file.
    """

    def __init__(self) -> None:
        self._sides: dict[tuple[str, str], _Side] = {}
        self._scripts = _Scripts()
        self._lines = _LEAST_LINES

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records, counting what they are written in."""
        for record in records:
            file, _, number = record.source.rpartition(":")
            line = int(number) if number.isdecimal() else 1
            side = self._sides.get((file, record.language))
            if side is None:
                side = self._sides[file, record.language] = _Side(file, record.language)
            while line > self._lines * _MOST_BLOCKS:
                self._double()
            block = side.blocks.setdefault((line - 1) // self._lines, _Evidence())
            block.add(record.text, line, self._scripts)
            yield record

    def _double(self) -> None:
        """Join every two neighbouring blocks."""
        self._lines *= 2
        for side in self._sides.values():
            halves = dict(side.blocks)
            side.blocks.clear()
            for number, block in halves.items():
                side.blocks[number // 2] = side.blocks.get(number // 2, _Evidence()) + block

    def hints(self) -> list[str]:
        """A line for each two languages that look swapped, and for each text in another language of these."""
        sides, lines = list(self._sides.values()), list[str]()
        whole = {(side.file, side.tag): side.whole for side in sides}
        swapped: set[tuple[str, str]] = set()
        for one, other in combinations(sides, 2):
            if one.tag == other.tag:
                continue
            names = (one.file, one.tag), (other.file, other.tag)
            if _swapped(one.tag, whole[names[0]], other.tag, whole[names[1]]):
                swapped.update(names)
                seen = whole[names[0]]
                lines.append(_said(one, other, [(seen.first, seen.last)]))
                continue
            both = sorted(one.blocks.keys() & other.blocks.keys())
            found = [
                (one.blocks[number].first, one.blocks[number].last)
                for number in both
                if _swapped(one.tag, one.blocks[number], other.tag, other.blocks[number])
            ]
            if found:
                swapped.update(names)
                lines.append(_said(one, other, found))
        tags = sorted({side.tag for side in sides})
        for side in sides:
            if (side.file, side.tag) in swapped:
                continue
            seen = whole[side.file, side.tag]
            for tag in tags:
                # Serbian is written in two scripts; its Latin texts are not taken for Croatian.
                shared = words_of(_primary(tag)) <= words_of(_primary(side.tag))
                if not shared and seen.looks_like(tag, side.tag) and seen.has_words_of(tag):
                    said = f"looks like {language_name(tag)}, not {language_name(side.tag)}"
                    lines.append(f"{side.file}: the text with the tag {side.tag} {said}; is the tag right?")
                    break
        return lines


def _swapped(tag: str, seen: _Evidence, other_tag: str, other_seen: _Evidence) -> bool:
    """Whether two texts look as if each had the tag of the other."""
    like_other, like_this = seen.looks_like(other_tag, tag), other_seen.looks_like(tag, other_tag)
    if like_other and like_this:
        return True
    # Of a language whose words are not known, only the other's absence can be seen.
    if like_this and not words_of(_primary(other_tag)):
        return seen.lacks(tag)
    if like_other and not words_of(_primary(tag)):
        return other_seen.lacks(other_tag)
    return False


def _said(one: _Side, other: _Side, found: list[tuple[int, int]]) -> str:
    ranges: list[tuple[int, int]] = []
    for first, last in found:
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], last
        else:
            ranges.append((first, last))
    where = ", ".join(f"{first:,} to {last:,}" for first, last in ranges[:3]) + (" …" if ranges[3:] else "")
    this, that = language_name(one.tag), language_name(other.tag)
    if one.file == other.file:
        looks = f"{one.file}: the {this} texts look like {that} and the {that} texts like {this}"
        what = "languages"
    else:
        looks, what = f"{one.file} looks like {that} and {other.file} like {this}", "files"
    return f"{looks} (lines {where}): are the two {what} swapped?"


def _primary(tag: str) -> str:
    return tag.partition("-")[0]
