"""IWSLT: training files with tags, test sets in near-XML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xformer.data.readers import read_iwslt

TRAIN_DE = """<url>http://www.ted.com/talks/1</url>
<keywords>talks, AT&T</keywords>
<speaker>Ann Smith</speaker>
<talkid>1</talkid>
<title>Ann Smith: Über Züge</title>
<description>Ein Vortrag.</description>
 Vielen Dank.
Er sagte <b> & ging.
<reviewer href="http://x">R</reviewer>
<translator href="http://y">T</translator>
"""
TRAIN_EN = """<url>http://www.ted.com/talks/1</url>
<keywords>talks, AT&T</keywords>
<speaker>Ann Smith</speaker>
<talkid>1</talkid>
<title>Ann Smith: On trains</title>
<description>A talk.</description>
Thank you.\x20
He said <b> & left.
"""


def test_training_files_align_without_their_tags(write: Any, brief: Any) -> None:
    german, english = write("train.tags.de-en.de", TRAIN_DE), write("train.tags.de-en.en", TRAIN_EN)
    records = list(read_iwslt([german, english]))
    assert brief(records) == [
        ("de", "Ann Smith: Über Züge"),
        ("en", "Ann Smith: On trains"),
        ("de", "Ein Vortrag."),
        ("en", "A talk."),
        ("de", "Vielen Dank."),
        ("en", "Thank you."),
        ("de", "Er sagte <b> & ging."),
        ("en", "He said <b> & left."),
    ]
    assert records[5].source == "train.tags.de-en.en:7"
    assert records[4].group == records[5].group


def test_training_files_of_different_lengths(write: Any, refused: Any) -> None:
    german, english = (
        write("train.tags.de-en.de", TRAIN_DE),
        write("train.tags.de-en.en", TRAIN_EN + "More.\n"),
    )
    with refused(german, "has 4", english, "has 5"):
        list(read_iwslt([german, english]))


XML_DE = """\ufeff<?xml version="1.0" encoding="UTF-8"?>
<mteval>
<srcset setid="iwslt2010-tst2010" srclang="german">
<doc docid="535" genre="lectures">
<url>http://www.ted.com/talks/535</url>
<title>Zugfahren & mehr</title>
<seg id="1"> Das ist AT&T &amp; Co. &#8364; &copy </seg>
<seg id="2"> Zwei
Zeilen </seg> <seg id="3">Drei</seg>
</doc>
<DOC genre="x" docid=536>
<seg id=1> </seg>
</DOC>
</srcset>
</mteval>
"""
XML_EN = XML_DE.replace("Das ist", "This is").replace("Zwei", "Two").replace("Drei", "Three")


def test_test_sets_align_by_segment(write: Any) -> None:
    german = write("IWSLT14.TED.tst2010.de-en.de.xml", XML_DE)
    english = write("IWSLT14.TED.tst2010.de-en.en.xml", XML_EN)
    records = list(read_iwslt([german, english]))
    assert [(record.language, record.id, record.text) for record in records] == [
        ("de", "535:1", "Das ist AT&T & Co. € &copy"),
        ("en", "535:1", "This is AT&T & Co. € &copy"),
        ("de", "535:2", "Zwei Zeilen"),
        ("en", "535:2", "Two Zeilen"),
        ("de", "535:3", "Drei"),
        ("en", "535:3", "Three"),
    ]
    assert records[2].source == "IWSLT14.TED.tst2010.de-en.de.xml:8"


@pytest.mark.parametrize(
    ("change", "pieces"),
    [
        (("Three</seg>", "Three"), ("en.xml:9", "'3'", "no </seg>")),
        (('<seg id="3">Three</seg>', ""), ("de.xml has 535:3 in line 9", "en.xml has 536:1 in line 12")),
        (("docid=536", "docid=537"), ("de.xml has 536:1", "en.xml has 537:1")),
        (("<seg id=1> </seg>", ""), ("de.xml has 536:1", "en.xml has no more")),
        (("<seg", "<s"), ("en.xml", "expected segments", "found none")),
    ],
)
def test_test_sets_that_do_not_align(
    write: Any, refused: Any, change: tuple[str, str], pieces: tuple[str, ...]
) -> None:
    german, english = write("de.xml", XML_DE), write("en.xml", XML_EN.replace(*change))
    with refused(*pieces):
        list(read_iwslt([german, english]))


def test_files_that_do_not_go_together(write: Any, refused: Any, tmp_path: Path) -> None:
    with refused(".xml files only or none"):
        list(read_iwslt([write("a.de.xml", XML_DE), write("a.en", TRAIN_EN)]))
    with refused("train.tags.de-en.en", "no such file"):
        list(read_iwslt([write("train.tags.de-en.de", TRAIN_DE), tmp_path / "train.tags.de-en.en"]))
    with refused("one language for each of 2"):
        list(read_iwslt([write("a.de.xml", XML_DE), write("a.en.xml", XML_EN)], languages=["de"]))
