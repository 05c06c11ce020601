"""What readers of dictionaries share: groups of a sense, text without notes, languages and licences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xformer.data.import_notes import ImportNotes
from xformer.data.languages import language_name, language_named
from xformer.data.record import Record, content_group, normalize_language
from xformer.errors import InputError

_CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">", "（": "）", "【": "】"}
_BRACKETS = re.compile(f"[{re.escape(''.join(_CLOSING) + ''.join(_CLOSING.values()))}]")
_AFTER_NOTE = frozenset(" ,;.:!?،؛/")
_SENTENCE_END = re.compile(r"[.!?…。！？।]['\"”»]?$")
_ABBREVIATIONS = re.compile(r"\b(?:etw|jd[mns]?|jmd[mns]?|usw|bzw|sb|sth|etc|qch?|qn)\.$", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s*[,;،؛]\s+")
_SENTENCE_SEPARATOR = re.compile(r"(?<=[.!?…।])\s*[,;]\s+")
# "German - English Ding/FreeDict dictionary", "English-Modern Greek Dictionary ver. 0.1"
_TITLE = re.compile(r"([^\W\d_][\w ]*?)\s*[-–—→]\s*(\w[\w ]*?)\s+(?:\S*freedict\S*\s+)?dictionary\b.*", re.I)
_CODES = re.compile(r"(?:.*[-_.])?([A-Za-z]{2,3})[-_]([A-Za-z]{2,3})")
_NAMES = re.compile(r"([A-Za-z]{4,})[-_]([A-Za-z]{4,})")
_LICENCE = re.compile(r"licen[cs]|public domain|\bGPL|creative commons", re.IGNORECASE)
_LONGEST_LICENCE = 300  # characters


@dataclass(frozen=True)
class Sense:
    """What says one thing in two languages: a word and its translations, or an example and its translation.

    Attributes:
        texts: (language, text) of each, first those that are translated.
        n_words: number of those.
    """

    texts: tuple[tuple[str, str], ...]
    n_words: int

    def records(self, source: str, notes: ImportNotes) -> Iterator[Record]:
        """Yield its texts as one group; nothing if one side has no text.

        Args:
            source: the place of the sense, for people.
            notes: counts what has no translation.
        """
        words, others = self.texts[: self.n_words], self.texts[self.n_words :]
        if not words or not others:
            for language, text in self.texts:
                notes.leave_out("not translated", language, text, source)
            return
        group = content_group(*(text for _, text in self.texts))
        for language, text in dict.fromkeys(self.texts):
            yield Record(text, language, group, source)


def is_sentence(text: str) -> bool:
    """Whether a text ends as a sentence does, not with "etw." or "sth."."""
    return _SENTENCE_END.search(text) is not None and _ABBREVIATIONS.search(text) is None


def split_list(text: str, *, sentences: bool) -> list[str]:
    """The members of a list with commas or semicolons between; of sentences, only those after its marks."""
    parts = (_SENTENCE_SEPARATOR if sentences else _SEPARATOR).split(text)
    return [part for part in (part.strip(" ,;") for part in parts) if part]


def without_notes(text: str) -> str:
    """Remove what stands in brackets of its own: "vorgehen (Uhr)", but not "person(s)"; and double spaces."""
    kept, begins, open_at, closing = [], 0, 0, list[str]()
    for match in _BRACKETS.finditer(text):
        bracket, at = match[0], match.start()
        if bracket in _CLOSING:
            if not closing:
                if at and not text[at - 1].isspace() and text[at - 1] not in ")]}>）】,;/":
                    continue
                open_at = at
            closing.append(_CLOSING[bracket])
        elif closing and bracket == closing[-1]:
            closing.pop()
            after = text[at + 1 : at + 2]
            if not closing and (not after or after in _AFTER_NOTE or after in _CLOSING):
                kept.append(text[begins:open_at])
                begins = at + 1
    kept.append(text[begins:])
    return re.sub(r" +(?=[,;.!?])", "", " ".join("".join(kept).split()))


def languages_of_dictionary(
    stem: str, title: str, languages: Sequence[str] | None, notes: ImportNotes
) -> tuple[str, str] | None:
    """The tags of the two languages of a dictionary: of its words, and of their translations.

    Args:
        stem: its file's name without endings: `freedict-deu-eng`, `german-english`.
        title: its own title, "" if it has none: "German - English FreeDict dictionary". English names of
            languages in it count more than the file's name: FreeDict's `eng-rom` is "English-Romanian".
        languages: the two that the user gave, None if none.
        notes: remembers how tags were read.

    Returns:
        None if nothing gives them.

    Raises:
        InputError: the user did not give two language tags.
    """
    if languages is not None:
        if len(languages) != 2:
            raise InputError(
                f"--languages: expected two, of words and of their translations, got {len(languages)}"
            )
        return notes.normalize(languages[0]), notes.normalize(languages[1])
    for pattern, text in ((_TITLE, title.strip()), (_NAMES, stem)):
        if match := pattern.fullmatch(text):
            named = language_named(match[1].strip()), language_named(match[2].strip())
            if named[0] and named[1]:
                return notes.normalize(named[0]), notes.normalize(named[1])
    if (match := _CODES.fullmatch(stem)) and all(_is_known(code) for code in match.groups()):
        return notes.normalize(match[1]), notes.normalize(match[2])
    return None


def licence_in(text: str) -> str | None:
    """The sentence of a dictionary's description that states its licence; None if none does."""
    sentences = re.split(r"(?<=[.!])\s+(?=[A-Z])|\n\s*\n", text)
    for sentence in sentences:
        if _LICENCE.search(sentence):
            return " ".join(sentence.split())[:_LONGEST_LICENCE]
    return None


def _is_known(code: str) -> bool:
    tag = normalize_language(code)
    return language_name(tag) != tag
