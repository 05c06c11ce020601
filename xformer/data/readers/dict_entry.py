"""The senses in the text of a dictionary's entry, which is made for people to read.

Two layouts are known: FreeDict's, in which a line holds the translations of a sense, and other lines notes,
examples, or references to other words; and Ding's, in which the lines are broken, and semicolons divide.

    Bank /baŋk/ <fem, n, sg>            Bank
    1. bench <n>, seat <n> [Br.]         {f} (Sitz)
          "auf der Bank"  - on the bench    bench; seat
    2. bank <n>
          Note: where the money is
       Synonym: {Sitzbank}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from xformer.data.readers.dictionary import is_sentence, split_list, without_notes

_PRONUNCIATION = re.compile(r"(?<=\s)/[^\s/][^/]*/(?=[\s,]|$)")
_NUMBER = re.compile(r"\s{0,2}(?:(?:[IVX]+|\d+)\.(?:\s+|$))+(?:[a-z]\.(?:\s+|$))?|\s[a-z]\.$")
_EXAMPLE = re.compile(r'\s+"(?P<text>.*)"(?:\s+-\s+(?P<translations>\S.*))?')
_LABEL = re.compile(r"\s+(?:[A-Z][\w ]*|see(?: also)?):(?: |$)")
_OF_PHRASE = re.compile(r"\s+-\s+(\S.*)")
_RUN_ON = re.compile(r"<[^<>]*>(?P<phrase>[^\s<].*?)\s{2,}(?P<translations>\S.*)")
_MARKUP = re.compile(r"\{[^{}]*\}|<[^<>]*>")  # references, grammar
_ABBREVIATED = re.compile(r"\s/[^/\s]+/(?=[\s;]|$)")
_NEXT_NUMBER = re.compile(r"\s+\d+\.$")
_SEMICOLON = re.compile(r"\s*;\s+")
_DING = re.compile(
    r"(?P<word>\S.*(?:\n\S.*)*)\n(?: [\[{(/].*(?:\n\S.*)*)?\n?   (?P<translations>\S.*(?:\n\S.*)*)\s*"
)

Pair = tuple[list[str], list[str]]


def senses_of(text: str, keys: Sequence[str]) -> Iterator[Pair]:
    """Yield the words and the translations of each sense, and each example with its translations, if any.

    Args:
        text: the entry.
        keys: the headwords of the index that lead to it; they tell a list of words from one with a comma.
    """
    text = text.strip("\n")
    if (ding := _DING.fullmatch(text)) and not _LABEL.match(f" {ding['translations']}"):
        translations = _flat(_ABBREVIATED.sub("", ding["translations"]))
        yield [_flat(ding["word"])], _SEMICOLON.split(translations)
        return
    head, *lines = text.split("\n")
    words = _words(head, keys)
    is_open, numbered = True, False  # whether the sense has no translations yet, and its number is alone
    for line, following in pairwise([*lines, ""]):
        number = _NUMBER.match(line)
        if example := _EXAMPLE.fullmatch(line):
            yield _pair([_flat(example["text"])], example["translations"] or "")
        elif _LABEL.match(line) or _OF_PHRASE.fullmatch(line):
            continue
        elif phrase := _OF_PHRASE.fullmatch(following):
            yield _pair([_flat(_bare(line))], phrase[1])
        elif run_on := _RUN_ON.fullmatch(line[number.end() :] if number else line):
            yield _pair([_flat(_PRONUNCIATION.sub("", run_on["phrase"]))], _bare(run_on["translations"]))
        elif number or is_open or (numbered and line.startswith("  ")):
            # What follows an unnumbered sense, or a number alone, without indentation explains the word.
            translations = _flat(_bare(line))
            if number or translations:
                is_open, numbered = False, not translations
            if translations:
                yield _pair(words, translations)


def _pair(words: list[str], translations: str) -> Pair:
    sentences = any(map(is_sentence, words))
    return words, split_list(_flat(translations), sentences=sentences)


def _bare(line: str) -> str:
    """A line without the numbers of its sense, and without the one that WikDict has at its end."""
    while number := _NUMBER.match(line):
        line = without_notes(line[number.end() :])
    return _NEXT_NUMBER.sub("", line)


def _flat(text: str) -> str:
    """A text in one line, without notes, references and grammar."""
    return without_notes(_MARKUP.sub(" ", text))


def _words(head: str, keys: Sequence[str]) -> list[str]:
    """The words of an entry's first line: one, or several with commas between that have keys of their own."""
    text = _flat(_PRONUNCIATION.sub("", head))
    known = set(map(_key, keys))
    words = text.split(", ")
    if len(words) > 1 and all(_key(word) in known for word in words):
        return words
    return [text] if text else []


def _key(word: str) -> str:
    """A headword as an index may have it: letters and digits alone."""
    return "".join(filter(str.isalnum, word.casefold()))
