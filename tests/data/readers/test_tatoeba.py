"""Exports of Tatoeba and pairs of ManyThings; covers xformer.data.readers.languages, too."""

from __future__ import annotations

import bz2
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xformer.data.readers import read_manythings, read_tatoeba, tatoeba
from xformer.errors import InputError

SENTENCES = (
    "1\tcmn\t我們試試看！\n"
    '2\tdeu\tEr sagte: "Los!"\n'
    "3\teng\tLet's go!\n"
    "5\t\\N\tunknown language\n"
    "7\tfra\t\\N\n"
    "9\tckb\tبابڕۆین\n"
    "10\teng\tAlone.\n"
    "12\tdeu\tGehen wir!\n"
)
LINKS = "2\t3\n3\t2\n5\t9\n3\t5\n12\t99\n99\t1\n"


def tar(name: str, content: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content.encode())
        archive.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


def test_sentences_and_their_groups(write: Any) -> None:
    records = list(read_tatoeba(write("sentences.csv", SENTENCES), write("links.csv", LINKS)))
    assert [(record.id, record.language, record.group) for record in records] == [
        ("1", "zh", "tatoeba:1"),  # its link leads to a sentence that is not there
        ("2", "de", "tatoeba:2"),
        ("3", "en", "tatoeba:2"),
        ("9", "ckb", "tatoeba:2"),  # by way of a sentence that is left out itself
        ("10", "en", "tatoeba:10"),
        ("12", "de", "tatoeba:12"),
    ]
    assert records[1].text == 'Er sagte: "Los!"'
    assert records[1].source == "sentences.csv:2"


def test_files_of_single_languages_and_pairs(write: Any) -> None:
    """The same groups as from the whole export."""
    rows = [line for line in SENTENCES.split("\n") if line]
    codes = {line.split("\t")[1] for line in rows}
    sentences = [
        write(f"{code}_sentences.tsv", "".join(f"{line}\n" for line in rows if f"\t{code}\t" in line))
        for code in sorted(codes)
    ]
    lines = LINKS.split("\n")
    links = [write(f"{number}_links.tsv", f"{line}\n") for number, line in enumerate(lines) if line]
    whole = read_tatoeba(write("s.csv", SENTENCES), write("l.csv", LINKS))
    split = list(read_tatoeba(sentences, links))
    assert {(r.id, r.group) for r in split} == {(r.id, r.group) for r in whole}
    assert {r.source.partition(":")[0] for r in split} == {
        "ckb_sentences.tsv", "cmn_sentences.tsv", "deu_sentences.tsv", "eng_sentences.tsv"
    }  # fmt: skip
    with pytest.raises(InputError, match=r"cmn_sentences\.tsv, .*: sentence 1 occurs twice"):
        list(read_tatoeba([*sentences, sentences[2]], links))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["sentences.csv", "links.csv"], (["sentences.csv"], ["links.csv"])),
        (["links.csv", "sentences.csv"], (["sentences.csv"], ["links.csv"])),
        (["a", "b"], (["a"], ["b"])),
        (["deu_sentences.tsv"], (["deu_sentences.tsv"], [])),
        (["a_sentences", "a-b_links", "b_sentences"], (["a_sentences", "b_sentences"], ["a-b_links"])),
        (["sentences.csv"], None),
        (["links.csv", "more_links.csv"], None),
        (["a", "b", "c"], None),
    ],
)
def test_files_of_an_export_are_told_apart(
    names: list[str], expected: tuple[list[str], list[str]] | None
) -> None:
    if expected is not None:
        assert tatoeba.export_files(names) == expected
        return
    with pytest.raises(InputError, match=f"tatoeba: expected sentences.csv and links.csv, got {len(names)}"):
        tatoeba.export_files(names)


def test_compressed_and_detailed_exports(write: Any) -> None:
    plain = list(read_tatoeba(write("s.csv", SENTENCES), write("l.csv", LINKS)))
    detailed = SENTENCES.replace("\n", "\tuser\t2020-01-01\t\\N\n")
    for sentences, links in [
        (write("s.tar.bz2", tar("sentences.csv", SENTENCES)), write("l.tar.bz2", tar("links.csv", LINKS))),
        (write("s.csv.bz2", bz2.compress(SENTENCES.encode())), write("l.csv", LINKS)),
        (write("d.csv", detailed), write("l.csv", LINKS)),
    ]:
        records = list(read_tatoeba(sentences, links))
        assert [(r.text, r.group, r.language) for r in records] == [
            (r.text, r.group, r.language) for r in plain
        ]


def test_exports_under_cc0_have_four_columns(write: Any, brief: Any) -> None:
    sentences = write("sentences_CC0.csv", "1\teng\tHello.\t2020-01-01 00:00:00\n2\tdeu\tHallo.\t\\N\n")
    assert brief(read_tatoeba(sentences, write("l.csv", LINKS))) == [("en", "Hello."), ("de", "Hallo.")]


ESCAPED = [
    (r"C:\\temp", r"C:\temp"),
    ("a\\\tb", "a\tb"),
    ("a\\\nb\\\n\\\nc", "a\nb\n\nc"),
    ("ends\\\\", "ends\\"),
    ("two\\\\\\\\", "two\\\\"),
    ("a\\\\\\\nb", "a\\\nb"),
    (r"¯\\_(ツ)_/¯", r"¯\_(ツ)_/¯"),
    (r"not by MySQL: \x \N", r"not by MySQL: \x \N"),
]


def test_what_mysql_escapes(write: Any) -> None:
    lines = [f"{number}\teng\t{escaped}\n" for number, (escaped, _) in enumerate(ESCAPED, 1)]
    records = list(read_tatoeba(write("s.csv", "".join(lines)), write("l.csv", "")))
    assert [record.text for record in records] == [text for _, text in ESCAPED]
    assert [record.source for record in records][2:5] == ["s.csv:3", "s.csv:7", "s.csv:8"]
    detailed = "".join(
        line.replace("\n", "\tuser\t\\N\t\\N\n") if line.count("\n") == 1 else "" for line in lines
    )
    kept = [text for escaped, text in ESCAPED if "\n" not in escaped]
    assert [r.text for r in read_tatoeba(write("d.csv", detailed), write("l.csv", ""))] == kept


@given(st.lists(st.text(st.sampled_from("ab\\\t\n"), min_size=1).map(lambda text: f"x{text}x"), max_size=8))
def test_any_text_that_mysql_writes(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("tatoeba")
    table = str.maketrans({character: f"\\{character}" for character in "\\\t\n"})
    rows = [f"{number}\teng\t{text.translate(table)}\n" for number, text in enumerate(texts)]
    (folder / "s.csv").write_bytes("".join(rows).encode())
    (folder / "l.csv").write_bytes(b"")
    assert [record.text for record in read_tatoeba(folder / "s.csv", folder / "l.csv")] == texts


def test_a_choice_of_languages_keeps_links_through_the_others(write: Any) -> None:
    paths = write("s.csv", SENTENCES), write("l.csv", LINKS)
    records = list(read_tatoeba(*paths, languages=["deu", "ckb"]))
    assert [record.id for record in records] == ["2", "9", "12"]
    assert records[0].group == records[1].group


@settings(max_examples=60)
@given(
    st.sets(st.integers(0, 40), min_size=1),
    st.lists(st.tuples(st.integers(0, 45), st.integers(0, 45)), max_size=60),
    st.integers(1, 9),
)
def test_groups_are_the_connected_components(
    tmp_path_factory: pytest.TempPathFactory, ids: set[int], links: list[tuple[int, int]], block: int
) -> None:
    folder = tmp_path_factory.mktemp("links")
    (folder / "l.csv").write_text("".join(f"{a}\t{b}\n" for a, b in links))
    (folder / "s.csv").write_text("".join(f"{number}\teng\tx\n" for number in ids))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tatoeba, "_LINKS_AT_A_TIME", block)
        records = read_tatoeba(folder / "s.csv", folder / "l.csv")
        groups = {int(record.id or -1): int(record.group.partition(":")[2]) for record in records}
    # The definition: spread the smallest number along links until nothing changes.
    expected = {number: number for number in ids}
    for _ in ids:
        for a, b in links:
            if a in ids and b in ids:
                expected[a] = expected[b] = min(expected[a], expected[b])
    assert groups == expected


def test_a_chain_in_the_worst_order_is_one_group(write: Any) -> None:
    count = 20_000
    order = np.random.default_rng(0).permutation(count)
    sentences = write("s.csv", "".join(f"{number}\teng\tx\n" for number in range(count)))
    chain = write("l.csv", "".join(f"{order[at]}\t{order[at + 1]}\n" for at in range(count - 1)))
    assert {record.group for record in read_tatoeba(sentences, chain)} == {"tatoeba:0"}


@pytest.mark.parametrize(
    ("sentences", "links", "pieces"),
    [
        ("1\teng\tx\n2\teng\n", "", ("s.csv:2", "number, language and text", "'2\\teng'")),
        ("x\teng\tx\n", "", ("s.csv:1", "expected number")),
        ("99999999999999999999\teng\tx\n", "", ("s.csv:1", "expected number")),
        ("1\teng\ta\n2\teng\tb\n1\tdeu\tc\n", "", ("s.csv", "sentence 1 occurs twice")),
        ("1\te!\tx\n", "", ("s.csv:1", "language tag", "e!")),
        ("1\teng\tx\n", "1\t1\n1 2\n", ("l.csv:2", "two sentence numbers")),
        ("1\teng\tx\n", "1\t2\t3\n", ("l.csv:1", "two sentence numbers")),
        ("1\teng\tx\n", "1\t٢\n", ("l.csv:1", "two sentence numbers")),
    ],
)
def test_broken_exports(
    write: Any, refused: Any, sentences: str, links: str, pieces: tuple[str, ...]
) -> None:
    paths = write("s.csv", sentences), write("l.csv", links)
    with refused(*pieces):
        list(read_tatoeba(*paths))


def test_broken_archives(write: Any, refused: Any, tmp_path: Path) -> None:
    links = write("l.csv", LINKS)
    with refused("s.tar.bz2", "not a valid compressed file"):
        list(read_tatoeba(write("s.tar.bz2", SENTENCES), links))
    whole = tar("sentences.csv", SENTENCES)
    with refused("s.tar.bz2"):
        list(read_tatoeba(write("s.tar.bz2", whole[: len(whole) // 2]), links))
    with tarfile.open(tmp_path / "e.tar", "w"):
        pass
    with refused("e.tar", "found none"):
        list(read_tatoeba(tmp_path / "e.tar", links))
    with refused("none.csv", "no such file"):
        list(read_tatoeba(write("s.csv", SENTENCES), tmp_path / "none.csv"))


def test_the_zip_that_manythings_serves(write: Any, brief: Any, tmp_path: Path, refused: Any) -> None:
    content = "Go.\tGeh.\tCC-BY 2.0 (France)\nHi.\tHallo!\n"
    with zipfile.ZipFile(tmp_path / "deu-eng.zip", "w") as archive:
        archive.writestr("deu.txt", content)
        archive.writestr("_about.txt", "** Info **\nand more")
    records = list(read_manythings(tmp_path / "deu-eng.zip"))
    assert brief(records) == [("en", "Go."), ("de", "Geh."), ("en", "Hi."), ("de", "Hallo!")]
    assert records[0].source == "deu-eng.zip:deu.txt:1"
    assert records[0].group == next(read_manythings(write("deu.txt", content))).group
    assert brief(read_manythings(tmp_path / "deu-eng.zip", language="nds"))[1] == ("nds", "Geh.")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("_about.txt", "** Info **")
    with refused("none.zip", "expected one file such as deu.txt inside, found none"):
        list(read_manythings(tmp_path / "none.zip"))
    with zipfile.ZipFile(tmp_path / "broken.zip", "w") as archive:
        archive.writestr("deu.txt", "Go.\n")
    with refused("broken.zip:deu.txt:1", "got 1 fields"):
        list(read_manythings(tmp_path / "broken.zip"))


def test_manythings(write: Any, refused: Any) -> None:
    path = write("deu.txt", "Go.\tGeh.\tCC-BY 2.0 #1 & #2\nGo.\tLos!\tCC-BY\nHi.\tHallo!\n")
    records = list(read_manythings(path))
    assert [(record.language, record.text) for record in records] == [
        ("en", "Go."),
        ("de", "Geh."),
        ("de", "Los!"),
        ("en", "Hi."),
        ("de", "Hallo!"),
    ]
    assert len({record.group for record in records[:3]}) == 1
    assert records[0].group != records[3].group
    with refused("bad.txt:2", "got 1 fields"):
        list(read_manythings(write("bad.txt", "a\tb\nalone\n"), language="deu"))
    with refused("sentences.txt", "file's name does not give the language"):
        list(read_manythings(write("sentences.txt", "a\tb\n")))
