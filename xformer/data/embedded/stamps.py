"""What the stamps of the program Tux Paint show, in a sentence each and many languages: "A happy lion!"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from xformer.data.import_notes import ImportNotes
from xformer.data.readers.lines import FilePath
from xformer.data.readers.members import open_members
from xformer.data.record import Record, content_group
from xformer.errors import InputError

_LINE = re.compile(r"(?P<locale>[A-Za-z_@]+)\.utf8=(?P<text>.*)")


def read_stamps(paths: Iterable[FilePath], notes: ImportNotes | None = None) -> Iterator[Record]:
    """Stream the sentences, stamp by stamp. The group depends on the English one, so equal ones are in one.

    A stamp's file has the English sentence in its first line, then translations: `de.utf8=Ein Löwe!`.
    Stamps without a sentence, and translations that equal it, are left out.

    Args:
        paths: Debian packages such as `tuxpaint-stamps-default`, other archives, or folders.
        notes: collects what is left out and how tags were read.

    Raises:
        InputError: a path is missing or damaged, or has no stamps.
    """
    notes = notes or ImportNotes()
    for path in paths:
        with open_members(path, _is_stamp, "stamps (stamps/**/*.txt)") as members:
            for member in members:
                english, *translations = member.read().decode("utf-8-sig", "replace").split("\n")
                if not (english := english.strip()):
                    continue
                group = content_group(english)
                yield Record(english, "en", group, member.label)
                for line in translations:
                    if (found := _LINE.fullmatch(line.strip())) is None:
                        continue
                    text = found["text"].strip()
                    try:
                        language = notes.normalize(found["locale"])
                    except InputError:
                        notes.leave_out("no language", "und", text, member.label)
                        continue
                    if not text:
                        notes.leave_out("no text", language, text, member.label)
                    elif text == english:
                        notes.leave_out("same as the original", language, text, member.label)
                    else:
                        yield Record(text, language, group, member.label)


def _is_stamp(name: str) -> bool:
    return name.endswith(".txt") and "stamps" in name.split("/")[:-1]
