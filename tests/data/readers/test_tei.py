"""Dictionaries in TEI: what FreeDict's files do, and what is refused."""

from __future__ import annotations

import gzip
import tracemalloc
from typing import Any

import pytest

from xformer.cli.formats import source_of
from xformer.data.import_notes import ImportNotes
from xformer.data.readers import read_tei, tei

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE TEI SYSTEM "freedict-P5.dtd">
<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader><fileDesc><titleStmt><title>{title}</title></titleStmt>
<publicationStmt><availability><p>By some.</p><p>Available under the <ref>GPL</ref> 2.</p></availability>
</publicationStmt></fileDesc></teiHeader><text xml:lang="de"><body>
"""
TAIL = "</body></text></TEI>\n"
FORM = "<form><orth>{}</orth><pron>x</pron></form>"


def made(*entries: str, title: str = "", word: str = "Haus") -> str:
    """A dictionary with these entries, each of one word unless it has another."""
    body = "".join(
        f"<entry>{'' if entry.startswith('<form') else FORM.format(word)}{entry}</entry>\n"
        for entry in entries
    )
    return HEAD.format(title=title) + body + TAIL


def trans(*quotes: str) -> str:
    return "".join(f'<cit type="trans"><quote>{quote}</quote></cit>' for quote in quotes)


def test_each_sense_is_a_group(write: Any) -> None:
    example = f'<cit type="example"><quote>zu Haus(e)</quote>{trans("at home (there)", "in")}</cit>'
    senses = f"<sense>{trans('house', '(big) building')}{example}</sense><sense>{trans('home')}</sense>"
    found = list(read_tei(write("deu-eng.tei", made("<sense/>", senses)), notes=(notes := ImportNotes())))
    groups = list(dict.fromkeys(record.group for record in found))
    assert [(record.language, record.text, groups.index(record.group)) for record in found] == [
        ("de", "zu Haus(e)", 0),
        ("en", "at home", 0),
        ("en", "in", 0),
        ("de", "Haus", 1),
        ("en", "house", 1),
        ("en", "building", 1),
        ("de", "Haus", 2),
        ("en", "home", 2),
    ]
    assert {record.source for record in found} == {"deu-eng.tei:7"}
    assert dict(notes.left_out["not translated"]) == {"de": 1}


HOUSE = trans("house")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ('<sense><cit><quote type="trans">house</quote></cit></sense>', ["Haus", "house"]),
        ('<sense xml:lang="fr"><def>maison, logis</def></sense>', ["Haus", "fr:maison", "fr:logis"]),
        ("<sense><def>A place to live in.</def></sense>", []),
        (f"<sense>{HOUSE}<def>Gebäude</def></sense>", ["Haus", "house"]),
        (f"<sense><sense>{HOUSE}</sense></sense>", ["Haus", "house"]),
        (f"<hom><sense>{HOUSE}</sense></hom>", ["Haus", "house"]),
        (f"{HOUSE}", ["Haus", "house"]),
        ('<sense><cit type="trans" xml:lang="ger"><quote>Bau</quote></cit></sense>', ["Haus", "de:Bau"]),
        ('<sense><cit type="trans"><quote xml:lang="fra">logis</quote></cit></sense>', ["Haus", "fr:logis"]),
        (f'<form xml:lang="nds"><orth>Hus</orth></form><sense>{HOUSE}</sense>', ["nds:Hus", "house"]),
        (f"<sense>{trans('ho<hi>us</hi>e<note>n</note> ')}</sense>", ["Haus", "house"]),
        ('<sense><cit type="example"><quote>Ein Haus.</quote></cit></sense>', []),
        (f"<sense><cit><quote>Bau</quote><lbl>m</lbl>{HOUSE}</cit></sense>", ["Bau", "house"]),
        (
            '<form><orth>Tür</orth><orth type="variant">Thür</orth><orth type="pl">Türen</orth>'
            '<form type="infl"><orth>Türn</orth></form><form><orth>Thüre</orth></form></form>'
            f'<form type="abbrev"><orth>T.</orth></form><sense>{trans("door")}</sense>',
            ["Tür", "Thür", "Thüre", "door"],
        ),
        (
            f"<sense>{HOUSE}</sense><re>{FORM.format('Haustür')}<sense>{trans('door')}</sense></re>",
            ["Haus", "house", "Haustür", "door"],
        ),
    ],
)  # fmt: skip
def test_what_dictionaries_do(write: Any, entry: str, expected: list[str]) -> None:
    usual = {"de": "", "en": ""}
    found = read_tei(write("deu-eng.tei.gz", gzip.compress(made(entry).encode())))
    shown = [usual.get(record.language, f"{record.language}:") + record.text for record in found]
    german = [text.replace("de:", "") if text.startswith("de:") else text for text in expected]
    assert shown == german


def test_languages(write: Any, brief: Any, refused: Any) -> None:
    entry = f"<sense>{trans('casă')}</sense>"
    title = "English-Romanian FreeDict Dictionary"
    path = write("eng-rom.tei", made(entry, title=title, word="house"))
    assert brief(read_tei(path)) == [("en", "house"), ("ro", "casă")]
    assert brief(read_tei(path, languages=["de", "ces"])) == [("de", "house"), ("cs", "casă")]
    with refused("any.xml:6", "nothing gives the languages"):
        list(read_tei(write("any.xml", made(entry))))
    with refused("deu-eng.tei:6", "language tag"):
        list(read_tei(write("deu-eng.tei", made(entry.replace("<cit", '<cit xml:lang="?"')))))


def test_the_licence_of_the_header(write: Any, refused: Any) -> None:
    path = write("deu-eng.tei", made("<sense/>"))
    assert source_of("tei", path, "stated").licence == "Available under the GPL 2."
    for content in (made("<sense/>").replace("GPL", "sun"), f"<div><entry>{FORM}</entry></div>"):
        with refused("a.tei", "states no licence"):
            source_of("tei", write("a.tei", content), "stated")


@pytest.mark.parametrize(
    ("content", "pieces"),
    [
        ("<TEI><text><include/></text></TEI>", ["expected a dictionary in TEI with <entry>", "xi:include"]),
        (made("<sense>").replace("</entry>", ""), [":7:", "not well-formed"]),
        (f"<!DOCTYPE TEI [<!ENTITY a 'b'>]>{made()[39:]}", [":1:", "&a;", "refused as unsafe"]),
        (made("<sense>" * 200 + "</sense>" * 200), [":6:", "at most 100 elements in one another"]),
        (made(trans("x" * 3000)), [":6:", "at most 2,000 bytes"]),
        ("", ["not well-formed"]),
    ],
)
def test_what_is_refused(
    write: Any, refused: Any, content: str, pieces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tei, "_LONGEST_ENTRY", 2000)
    path = write("deu-eng.tei", content)
    with refused(path, *pieces):
        list(read_tei(path))


def test_memory_does_not_grow_with_the_file(write: Any) -> None:
    def peak(entries: int) -> int:
        path = write("deu-eng.tei", made(*[f"<sense>{HOUSE}</sense>"] * entries))
        tracemalloc.start()
        for _ in read_tei(path):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    assert peak(6000) < 1.5 * peak(1500)
