"""Fill the untranslated messages of a catalogue by a translator, and never break a placeholder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from xformer.localization.catalogue import Catalogue, Message
from xformer.localization.placeholders import difference, has_words
from xformer.localization.plurals import PluralForms

Translate = Callable[[Sequence[str]], Iterable[Sequence[str]]]
"""Gives for each line, in order, its translations, best first; none for one that is too long."""


@dataclass(frozen=True)
class Kept:
    """A message that stays untranslated.

    Attributes:
        line: of the file.
        text: the original.
        why: what its best translation does wrong, or what is lacking.
    """

    line: int
    text: str
    why: str


@dataclass(frozen=True)
class Filled:
    """What was done to a catalogue.

    Attributes:
        filled: messages that have a translation now, all of them marked fuzzy.
        kept: those that stay untranslated.
    """

    filled: int
    kept: tuple[Kept, ...]


def fill_catalogue(catalogue: Catalogue, translate: Translate) -> Filled:
    """Translate what a catalogue lacks.

    Of the translations of a line the first is taken that keeps its placeholders. White space at its ends
    stays. All plural forms of a message are filled, or none. A form that stands for 1 alone is translated
    from the singular; one that stands for more numbers from the plural, unless the singular has the same
    placeholders and the form stands for 1 as well.

    Args:
        catalogue: is changed in memory; see `Catalogue.save`.
        translate: gives the translations; it is called with all texts at once, which it may read as a stream.

    Raises:
        InputError: the catalogue's plural forms cannot be evaluated, or its encoding lacks a character.
    """
    plurals = catalogue.plural_forms()
    messages = catalogue.untranslated()
    wanted = [_sources(message, plurals) for message in messages]
    texts = [text for sources in wanted for text in dict.fromkeys(sources)]
    found = iter(
        translate([_Framed(line).body for text in texts for line in _lines(text) if has_words(line)])
    )
    filled, kept = 0, []
    for message, sources in zip(messages, wanted, strict=True):
        if not sources:
            why = "the header has no Plural-Forms"
            kept.append(Kept(message.line, message.text, why))
            continue
        forms, why = _forms(message, sources, found)
        if why:
            kept.append(Kept(message.line, message.text, why))
        else:
            catalogue.fill(message, forms)
            filled += 1
    return Filled(filled, tuple(kept))


def _sources(message: Message, plurals: PluralForms | None) -> list[str]:
    """The text that each form is translated from; none where the number of forms is not known."""
    if message.plural is None:
        return [message.text]
    if plurals is None:
        return []
    alike = not difference(message.text, message.plural, message.flags)
    return [
        message.text if plurals.is_singular(form) or (alike and plurals.has_one(form)) else message.plural
        for form in range(len(plurals))
    ]


def _forms(message: Message, sources: list[str], found: Iterator[Sequence[str]]) -> tuple[list[str], str]:
    """The forms of a message, and what is wrong with one of them."""
    best: dict[str, str] = {}
    wrong = ""
    for source in dict.fromkeys(sources):
        lines = [
            _line(line, next(found), message.flags) if has_words(line) else (line, "")
            for line in _lines(source)
        ]
        best[source] = "".join(line for line, _ in lines)
        wrong = wrong or next((why for _, why in lines if why), "")
    return ([], wrong) if wrong else ([best[source] for source in sources], "")


def _line(source: str, candidates: Sequence[str], flags: Sequence[str]) -> tuple[str, str]:
    """The first translation of a line that breaks nothing, or what is wrong with the best one."""
    wrong = "is longer than the model reads"
    framed = _Framed(source)
    for number, candidate in enumerate(candidates):
        why = difference(framed.body, candidate, flags) if candidate.strip() else "is empty"
        if not why:
            return framed.around(candidate), ""
        wrong = wrong if number else f"its translation {why}"
    return "", wrong


def _lines(text: str) -> list[str]:
    """The lines of a message with their breaks: each is translated by itself, so that there stay as many."""
    return text.splitlines(keepends=True) if "\n" in text else [text]


class _Framed:
    """A text without white space at its ends, which stays: `msgfmt --check` compares newlines there."""

    def __init__(self, text: str) -> None:
        self.body = text.strip()
        at = text.find(self.body) if self.body else len(text)
        self._before, self._after = text[:at], text[at + len(self.body) :]

    def around(self, translation: str) -> str:
        return f"{self._before}{translation.strip()}{self._after}"
