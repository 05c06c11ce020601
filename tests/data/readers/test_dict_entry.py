"""The layouts of entries: senses, lists, examples, and all that is no translation."""

from __future__ import annotations

import pytest

from xformer.data.readers.dict_entry import senses_of

ENTRIES = [
    ("Bach /bax/ <masc, n, sg>\nbrook <n>, stream <n> [Br.]\n", "bach", [("Bach", "brook|stream")]),
    (
        'Bank /baŋk/ <n>\n1. bench\n      "auf der Bank"  - on the bench, on a bench\n2. bank, lender\n'
        "         Note: for money\n   Synonyms: {Kasse}, {Geldhaus}\n\n see: {Ufer}\n",
        "bank",
        [("Bank", "bench"), ("auf der Bank", "on the bench|on a bench"), ("Bank", "bank|lender")],
    ),
    ('to light /lait/ <V>\n1. zünden\n      "He lights a lamp."\n', "to light",
     [("to light", "zünden"), ("He lights a lamp.", "")]),
    ("Wo ist er? /voː ɪst/\nWhere is he, then?, Where could he be?\n", "wo ist er",
     [("Wo ist er?", "Where is he, then?|Where could he be?")]),
    ("jdm. etw. zeigen, geben etw.\nto show sb. sth., to give\n", "x",
     [("jdm. etw. zeigen, geben etw.", "to show sb. sth.|to give")]),
    ("Garn, Faden\nthread\n", "garn|faden", [("Garn|Faden", "thread")]),
    ("Wer wagt, gewinnt\nfortune favours the bold\n", "wer wagt gewinnt",
     [("Wer wagt, gewinnt", "fortune favours the bold")]),
    ("糸 /(en)tʃ (ja)l/, いと /ito/\n(noun (common))\n (no)\n [old] {紐}thread (x), (y) yarn\n", "糸|いと",
     [("糸|いと", "thread|yarn")]),
    ("糸\n(noun)\n{紐}\n         Note: abbreviationthread\n", "糸", []),
    ("Turm /tʊʁm/ <n, masc>\nwieża\nhohes Bauwerk\n2. bieg\nBotanik: Pflanze, Kraut\n", "turm",
     [("Turm", "wieża"), ("Turm", "bieg")]),
    ("Zug /tsuːk/ /tsʊk/ <n>\npociąg 2.\nFahrzeug auf Schienen\n 3.\nWagen\n", "zug", [("Zug", "pociąg")]),
    ("right /rait/\nI.  <Adj> 1.  a. prawy, słuszny (to - do)\n b.\n  \"that is right\"  - to prawda\n"
     "II.\n   See also: {left}\n  prawica\nIII.  <V Phras>right away   od razu, już\n"
     " 2.  to set right (:to :set)\n - naprawić\n", "right",
     [("right", "prawy|słuszny"), ("that is right", "to prawda"), ("right", "prawica"),
      ("right away", "od razu|już"), ("to set right", "naprawić")]),
    ("Aal\n {m} (auf der\nKarte) [cook.]\n   eel (on a menu) /EE/; eel, a fish;\nconger [Br.]\n", "aal",
     [("Aal", "eel|eel, a fish|conger")]),
    ("So ein langer, langer\nSatz.\n\n   Such a long, long\nsentence.\n", "so ein",
     [("So ein langer, langer Satz.", "Such a long, long sentence.")]),
    ("Wort\n\n   Synonym: {Vokabel}\n", "wort", []),
    ("Wort\n", "wort", []),
    ("Wort /vɔʁt/", "wort", []),
    ("Jungs / Mädchen /jʊŋs/\nboys / girls\n", "x", [("Jungs / Mädchen", "boys / girls")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "keys", "expected"), ENTRIES)
def test_layouts(text: str, keys: str, expected: list[tuple[str, str]]) -> None:
    found = [("|".join(words), "|".join(others)) for words, others in senses_of(text, keys.split("|"))]
    assert found == expected
