"""Compiled catalogues, message by message, as gettext's own msgunfmt prints them.

A sample of this machine's catalogues; all of a folder's, if `XFORMER_CATALOGUES` names it:
`XFORMER_CATALOGUES=/usr/share/locale pytest tests/data/readers/test_msgunfmt.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from xformer.data.readers.catalogue import Message, parse_mo, parse_po

pytestmark = pytest.mark.skipif(shutil.which("msgunfmt") is None, reason="needs msgunfmt (Debian: gettext)")

SYSTEM = Path("/usr/share/locale")
SAMPLE = 60
PRINTED = re.compile(rb'(?:(\w+(?:\[\d+\])?) )?"(.*)"')
ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}

Entry = tuple[str | None, tuple[str, ...], tuple[str, ...]]


def printed(path: Path) -> list[Entry]:
    """Context, source texts and translations of each message, as msgunfmt prints them."""
    run = ["msgunfmt", "--no-wrap", "--force-po", str(path)]
    output = subprocess.run(run, capture_output=True, check=True).stdout
    header = output.partition(b"\n\n")[0]
    named = re.search(rb"charset=([^\s\\;]+)", header) if header.startswith(b'msgid ""') else None
    charset = named[1].decode() if named and named[1] != b"CHARSET" else "utf-8"
    entries = []
    for block in output.split(b"\n\n"):
        fields: dict[bytes, bytes] = {}
        keyword = b""
        for line in block.strip().split(b"\n"):
            if (match := PRINTED.fullmatch(line)) is None:
                assert line.startswith(b"#") or not line, line
                continue
            keyword = match[1] or keyword
            text = re.sub(rb"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), match[2])
            fields[keyword] = fields.get(keyword, b"") + text
        texts = {key.decode(): text.decode(charset) for key, text in fields.items()}
        if texts.get("msgid") or (fields and "msgctxt" not in texts):
            ids = tuple(texts[key] for key in ("msgid", "msgid_plural") if key in texts)
            forms = tuple(text for key, text in texts.items() if key.startswith("msgstr"))
            entries.append((texts.get("msgctxt"), ids, forms))
    return entries


def brief(message: Message) -> Entry:
    return message.context, message.ids, message.texts


@pytest.mark.slow
def test_catalogues_of_this_machine() -> None:
    wanted = os.environ.get("XFORMER_CATALOGUES")
    paths = sorted(path for path in Path(wanted or SYSTEM).rglob("*.mo") if path.is_file())
    if not paths:
        pytest.skip(f"no catalogues in {wanted or SYSTEM}")
    if not wanted:
        paths = paths[:: -(-len(paths) // SAMPLE)]
    different, compared, composed = [], 0, 0
    for path in paths:
        data = path.read_bytes()
        ours, theirs = [brief(message) for message in parse_mo(data, str(path))], printed(path)
        compared += len(theirs)
        composed += data[4:8].count(1)
        if sorted(map(repr, ours)) != sorted(map(repr, theirs)):
            different.append(
                (
                    path,
                    [entry for entry in ours if entry not in theirs][:3],
                    [entry for entry in theirs if entry not in ours][:3],
                )
            )
    print(f"{len(paths)} catalogues, {composed} of them of format 0.1, {compared:,} messages")
    assert not different


SOURCE = r"""
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=n != 1;\n"

#, c-format
msgid "read %<PRIu64> bytes"
msgstr "%<PRIu64> Byte gelesen"

msgid "plain"
msgstr "schlicht"

#, c-format
msgctxt "dialog"
msgid "%d file of %<PRIdMAX>"
msgid_plural "%d files of %<PRIdMAX>"
msgstr[0] "%Id Datei von %<PRIdMAX>"
msgstr[1] "%Id Dateien von %<PRIdMAX> (%<PRIdMAX>)"

#, c-format
msgid "%d"
msgstr "%Id"

#, c-format
msgid "%<PRIxLEAST16>"
msgstr "%<PRIxLEAST16> hexadezimal"
"""


@pytest.mark.parametrize("endianness", ["little", "big"])
def test_messages_that_depend_on_the_machine(tmp_path: Path, endianness: str) -> None:
    source, compiled = tmp_path / "de.po", tmp_path / "de.mo"
    source.write_text(SOURCE, encoding="utf-8")
    subprocess.run(["msgfmt", f"--endianness={endianness}", "-o", str(compiled), str(source)], check=True)
    found = {brief(message) for message in parse_mo(compiled.read_bytes(), "de.mo")}
    assert found == {brief(message) for message in parse_po(SOURCE.encode(), "de.po")}
    assert found == set(printed(compiled))
