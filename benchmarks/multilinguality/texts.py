"""The text of the experiment: English messages of the gettext corpus, or a file of the user's."""

from __future__ import annotations

from pathlib import Path

from xformer.data.embedded.gettext import fetch_gettext_corpus
from xformer.data.readers.gettext import read_gettext
from xformer.data.readers.lines import read_lines
from xformer.progress import Progress

from .languages import Texts, divide

VOCABULARY, HELD_OUT = 512, 500
"""Pieces of the real language, special tokens and bytes included, and texts held out."""

# English messages with a translation into one of these are nearly all that there are, and are read fast.
_BESIDE = {"de", "fr", "es", "ja", "pt-BR", "pl", "ru"}


def texts_of(path: Path | None, progress: Progress) -> Texts:
    """Read the text and divide it.

    Args:
        path: a UTF-8 file with a text a line; None for the gettext corpus, fetched where it is missing.
        progress: shows what is done.

    Raises:
        InputError: the file is missing or too short, or the corpus cannot be fetched.
    """
    if path is not None:
        found = list(read_lines(path))
    else:
        wheels = fetch_gettext_corpus(say=progress.console.print)
        records = read_gettext(wheels, skip=lambda language: language not in _BESIDE)
        found = [record.text for record in records if record.language == "en"]
    progress("texts", len(found), len(found))
    return divide(found, vocabulary=VOCABULARY, held_out=HELD_OUT)
