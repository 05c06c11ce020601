"""The Quran and its translations in the npm package `quran-json`: chapters of numbered verses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.lines import FilePath
from xformer.data.readers.members import open_members
from xformer.data.record import Record
from xformer.errors import InputError

_FILE = re.compile(r"(?:^|/)quran(?:_(?P<language>[a-z]{2,3}))?\.json")


def read_verses(paths: Iterable[FilePath], notes: ImportNotes | None = None) -> Iterator[Record]:
    """Stream the verses, language by language; the group is the chapter and the number of the verse.

    Args:
        paths: the package's `.tgz`, or a folder. `quran.json` has the Arabic text; `quran_de.json` would have
            a German `translation` beside it.
        notes: remembers how tags were read.

    Raises:
        InputError: a path is missing or damaged, has no such file, or one of another form.
    """
    notes = notes or ImportNotes()
    for path in paths:
        kind = "verses (quran.json, quran_de.json)"
        with open_members(path, lambda name: _FILE.search(name) is not None, kind) as members:
            for member in members:
                found = _FILE.search(member.path)
                given = found["language"] if found else None
                language, field = notes.normalize(given or "ar"), "translation" if given else "text"
                try:
                    for chapter in json.loads(member.read()):
                        for verse in chapter["verses"]:
                            text, number = verse[field], f"{chapter['id']}:{verse['id']}"
                            if text.strip():
                                yield Record(text, language, f"quran {number}", member.label, id=number)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise InputError(
                        f"{member.name}: expected chapters with `id` and `verses`, verses with `id` and "
                        f"`{field}`: {type(error).__name__}: {error}"
                    ) from error
