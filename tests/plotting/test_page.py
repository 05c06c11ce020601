"""The shell of pages: sections, tables, and that text stays text."""

from __future__ import annotations

from html.parser import HTMLParser

from xformer.plotting.page import Cell, Column, Section, page, pictures, table
from xformer.plotting.shapes import COLOURS

EVIL = '<script>alert("x")</script> {{nav}} & co'


class Reader(HTMLParser):
    """Tags with their attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_sections_are_linked_and_those_without_content_left_out() -> None:
    empty = Section("no", "No", pictures(["", ""]), "words")
    read = Reader(page("t", [Section("a", "A", "<i>1</i>", "words"), empty, Section("b", "B", "2")], "first"))
    assert [one["href"] for one in read.all("a")] == ["#a", "#b"]
    assert [one["id"] for one in read.all("section")] == ["a", "b"]
    assert len(read.all("i")) == 1
    assert read.text.index("first") < read.text.index("words")


def test_text_stays_text() -> None:
    cells = [[Cell(EVIL, EVIL, detail=EVIL, hint=EVIL, language=EVIL)]]
    made = table([Column(EVIL)], cells, filters=[EVIL], caption=EVIL)
    read = Reader(page(EVIL, [Section("a", EVIL, made, EVIL)], EVIL))
    assert len(read.all("script")) == 1
    (cell,) = read.all("td")
    assert cell == {"title": EVIL, "lang": EVIL, "dir": "auto", "data-name": EVIL, "data-value": EVIL}
    # Title, heading and text of the page; link, heading and text of the section; caption, head of the column,
    # cell and detail of the table.
    assert read.text.count(EVIL) == 10


def test_nothing_is_requested() -> None:
    text = page("t", [Section("a", "A", table([Column("n")], [[Cell("1")]], filters=[]))])
    read = Reader(text)
    (policy,) = (one for one in read.all("meta") if one.get("http-equiv"))
    assert (policy["content"] or "").startswith("default-src 'none';")
    assert "://" not in text
    assert {tag for tag, _ in read.tags}.isdisjoint({"link", "iframe", "img", "object", "embed", "base"})
    assert "{{" not in text


def test_every_colour_is_there_for_light_and_dark() -> None:
    text = page("t", [])
    for name, (light, dark) in COLOURS.items():
        assert f"--{name}: {light};" in text
        assert f"--{name}: {dark};" in text


def test_cells_know_their_columns() -> None:
    columns = [Column("name"), Column("ms", number=True), Column("sweep", hidden=True)]
    rows = [
        [Cell("a"), Cell("1.5", "1.5432", detail="(1–2)"), Cell("s", style="ok")],
        [Cell("b"), Cell(""), Cell("s")],
    ]
    read = Reader(table(columns, rows, styles=["ours", ""], filters=["name", "sweep"]))
    cells = read.all("td")
    assert [one["data-name"] for one in cells] == ["name", "ms", "sweep"] * 2
    assert cells[1] == {"class": "number", "data-name": "ms", "data-value": "1.5432"}
    assert cells[2]["class"] == "aside ok"
    assert cells[4] == {"class": "number empty", "data-name": "ms", "data-value": ""}
    assert [one.get("class") for one in read.all("tr")] == [None, "ours", None]
    # One value is no choice: only names can be chosen.
    assert [one["data-column"] for one in read.all("select")] == ["0"]


def test_a_table_without_names_has_no_head() -> None:
    read = Reader(table([Column(""), Column("")], [[Cell("model"), Cell("small")]]))
    assert not read.all("thead")
    assert read.all("td") == [{}, {}]
