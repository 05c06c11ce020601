"""Sentences of stamps: English first, then a line for each language."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.embedded.packing import deb
from xformer.data.embedded.stamps import read_stamps
from xformer.data.import_notes import ImportNotes
from xformer.errors import InputError

LION = (
    "\ufeffA happy lion!\nach.utf8=Labwor \r\nca@valencia.utf8=Un lleó feliç.\nde.utf8=Ein fröhlicher Löwe!\n"
)
LION += "en_GB.utf8=A happy lion!\nfr.utf8=\nno such line\nx_toolongtobealanguage.utf8=?\n\n"
ROOT = "usr/share/tuxpaint/stamps/animals"


def test_each_line_is_a_translation(tmp_path: Path) -> None:
    files = {
        f"{ROOT}/lion.txt": LION,
        f"{ROOT}/none.txt": "\nde.utf8=Nichts\n",
        "usr/doc/copyright.txt": "MIT",
    }
    (tmp_path / "stamps_1.0_all.deb").write_bytes(deb(files))
    notes = ImportNotes()
    records = list(read_stamps([tmp_path / "stamps_1.0_all.deb"], notes))
    assert [(record.language, record.text) for record in records] == [
        ("en", "A happy lion!"),
        ("ach", "Labwor"),
        ("ca-valencia", "Un lleó feliç."),
        ("de", "Ein fröhlicher Löwe!"),
    ]
    assert len({record.group for record in records}) == 1
    assert records[0].source == f"stamps_1.0_all.deb:{ROOT}/lion.txt"
    assert notes.left_out == {
        "same as the original": {"en-GB": 1},
        "no text": {"fr": 1},
        "no language": {"und": 1},
    }


def test_two_stamps_with_one_sentence_are_one_group(tmp_path: Path) -> None:
    (tmp_path / "stamps").mkdir()
    for name in "ab":
        (tmp_path / "stamps" / f"{name}.txt").write_text("A dog.\n")
    assert len({record.group for record in read_stamps([tmp_path])}) == 1


def test_without_stamps(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A dog.\n")
    with pytest.raises(InputError, match=r"expected stamps \(stamps/\*\*/\*\.txt\) in it, found none"):
        list(read_stamps([tmp_path]))
