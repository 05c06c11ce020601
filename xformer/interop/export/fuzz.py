"""Random lines in many scripts with what tokenizers get wrong, to compare two of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from random import Random

SCRIPTS: dict[str, tuple[int, int]] = {
    "Latin": (0x0041, 0x024F),
    "Phonetic": (0x0250, 0x02AF),
    "Greek": (0x0370, 0x03FF),
    "Cyrillic": (0x0400, 0x052F),
    "Armenian": (0x0531, 0x058A),
    "Hebrew": (0x0591, 0x05F4),
    "Arabic": (0x0610, 0x06FF),
    "Syriac": (0x0700, 0x074F),
    "Thaana": (0x0780, 0x07B1),
    "N'Ko": (0x07C0, 0x07FA),
    "Samaritan": (0x0800, 0x083E),
    "Devanagari": (0x0900, 0x097F),
    "Bengali": (0x0980, 0x09FE),
    "Gurmukhi": (0x0A01, 0x0A76),
    "Gujarati": (0x0A81, 0x0AFF),
    "Odia": (0x0B01, 0x0B77),
    "Tamil": (0x0B82, 0x0BFA),
    "Telugu": (0x0C00, 0x0C7F),
    "Kannada": (0x0C80, 0x0CF3),
    "Malayalam": (0x0D00, 0x0D7F),
    "Sinhala": (0x0D81, 0x0DF4),
    "Thai": (0x0E01, 0x0E5B),
    "Lao": (0x0E81, 0x0EDF),
    "Tibetan": (0x0F00, 0x0FDA),
    "Myanmar": (0x1000, 0x109F),
    "Georgian": (0x10A0, 0x10FF),
    "Hangul Jamo": (0x1100, 0x11FF),
    "Ethiopic": (0x1200, 0x139F),
    "Cherokee": (0x13A0, 0x13FD),
    "Canadian Aboriginal": (0x1400, 0x167F),
    "Ogham": (0x1680, 0x169C),
    "Runic": (0x16A0, 0x16F8),
    "Tagalog": (0x1700, 0x171F),
    "Khmer": (0x1780, 0x17F9),
    "Mongolian": (0x1800, 0x18AA),
    "Limbu": (0x1900, 0x194F),
    "Tai Le": (0x1950, 0x1974),
    "New Tai Lue": (0x1980, 0x19DF),
    "Buginese": (0x1A00, 0x1A1F),
    "Tai Tham": (0x1A20, 0x1AAD),
    "Balinese": (0x1B00, 0x1B7E),
    "Sundanese": (0x1B80, 0x1BBF),
    "Lepcha": (0x1C00, 0x1C4F),
    "Ol Chiki": (0x1C50, 0x1C7F),
    "Glagolitic": (0x2C00, 0x2C5F),
    "Coptic": (0x2C80, 0x2CFF),
    "Tifinagh": (0x2D30, 0x2D7F),
    "Hiragana": (0x3041, 0x309F),
    "Katakana": (0x30A0, 0x30FF),
    "Bopomofo": (0x3105, 0x312F),
    "Han": (0x4E00, 0x9FFF),
    "Yi": (0xA000, 0xA4C6),
    "Lisu": (0xA4D0, 0xA4FF),
    "Vai": (0xA500, 0xA62B),
    "Javanese": (0xA980, 0xA9DF),
    "Cham": (0xAA00, 0xAA5F),
    "Meetei Mayek": (0xABC0, 0xABF9),
    "Hangul": (0xAC00, 0xD7A3),
    "Gothic": (0x10330, 0x1034A),
    "Deseret": (0x10400, 0x1044F),
    "Adlam": (0x1E900, 0x1E95F),
    "full width": (0xFF01, 0xFFEE),
    "punctuation": (0x0021, 0x0040),
    "symbols": (0x2010, 0x27BF),
    "emoji": (0x1F300, 0x1FAFF),
}
"""Blocks of Unicode by name: their first and their last code point."""

_ODD = (
    *(" ", "  ", "   ", " " * 9, "\t", "\u00a0", "\u3000", "\u200b", "\u200d", "\ufeff", "\u2028", "\u0085"),
    *("\u2581", "\u2581\u2581", " \u2581", "\u2581 ", "\u2585", "\ufffd", "\x00", "\x07", "\x1b", "\x7f"),
    *("<mask>", " <mask>", "<mask> ", "<MASK>", "<s>", "</s>", "<pad>", "<unk>", "<0x0A>", "<0xE2>", "\r"),
    # A family, a flag of tag characters, a skin tone, a flag of two letters.
    *("👩\u200d👩\u200d👧", "🏴\U000e0067\U000e0062\U000e007f", "👍🏽", "🇺🇦"),
    *("<", ">", "e\u0301", "ﬁ", "①", "\U000f0000", "\U0010fffd"),
)
"""White space, the mark of SentencePiece, control characters, special tokens as text, emoji of several."""


def fuzzed_lines(seed: int, n_lines: int, real: Sequence[str] = ()) -> Iterator[str]:
    """Random lines: letters of one script or several, odd pieces between them, runs of one character.

    Args:
        seed: of the lines; the same seed gives the same lines.
        n_lines: how many.
        real: lines of a corpus, of which some words are taken.
    """
    random = Random(seed)
    for _ in range(n_lines):
        scripts = random.sample(sorted(SCRIPTS), k=random.choice((1, 1, 2, 3)))
        yield "".join(_part(random, scripts, real) for _ in range(random.randint(1, 8)))


def _part(random: Random, scripts: Sequence[str], real: Sequence[str]) -> str:
    kind = random.random()
    if kind < 0.3:
        return random.choice(_ODD)
    if kind < 0.5 and real:
        words = random.choice(real).split(" ")
        start = random.randrange(len(words))
        return " ".join(words[start : start + random.randint(1, 4)]) + random.choice(("", " "))
    letters = _letters(random.choice(scripts))
    if kind < 0.55:
        return random.choice(letters) * random.randint(2, 12)
    return "".join(random.choices(letters, k=random.randint(1, 7))) + random.choice(("", " ", " "))


@cache
def _letters(script: str) -> list[str]:
    first, last = SCRIPTS[script]
    return [c for c in map(chr, range(first, last + 1)) if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
