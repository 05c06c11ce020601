"""The page of all results: everything is there, nothing comes from elsewhere, text stays text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.browsing import Open
from xformer.benchmarks.kernels.outcome import Outcome
from xformer.benchmarks.kernels.page import page, write_page
from xformer.benchmarks.kernels.record import Record

MakeRecord = Callable[..., Record]

EVIL = '<script>alert("x")</script> {{rows}} & co'


class Reader(HTMLParser):
    """Collects tags, attributes, and the text of the cells of each table's rows."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[dict[str, str]] = []
        self._cell: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag == "tr":
            self.rows.append({})
        if tag == "td":
            self._cell = values["data-name"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self.rows[-1][self._cell] = self.rows[-1].get(self._cell, "") + data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


@pytest.fixture
def records(make_record: MakeRecord) -> list[Record]:
    shape = {"max_length": 512}
    return [
        make_record("xformer triton", 1e-3, flops=2e11),
        make_record("sdpa flash", 2e-3, flops=2e11),
        make_record("flex", None, status="wrong", note=EVIL, error_multiple=3.25),
        make_record("xformer triton", 1e-3, case="dense d64 N=1024", shape={"max_length": 1024}),
        make_record(
            "eager", 1e-3, operation="glu", case="glu", sweep="glu", shape=shape, device="NVIDIA A100"
        ),
    ]


OUTCOMES = [
    Outcome("a-goal", "speed", 1.0, "at least", 1.25, True, "H100", "f:1", 3, "worst in N=512"),
    Outcome("b-goal", "memory", 0.1, "at most", None, False, None, None, 0, EVIL),
    Outcome("c-goal", "speed", 2.0, "at least", 1.5, False, "H100", "f:1", 3, ""),
]


@pytest.mark.slow
def test_every_record_is_a_row(records: list[Record]) -> None:
    rows = [row for row in read(page(records, OUTCOMES)).rows if "implementation" in row]
    assert [row["implementation"] for row in rows] == [r.implementation for r in records]
    assert rows[0]["ms"] == "1 (0.99–1.01)"
    assert rows[0]["rate"] == "200 TFLOP/s"
    assert rows[0]["roofline"] == "50 %"
    assert rows[2]["status"] == "wrong"
    assert rows[2]["error"] == "3.25×"
    assert rows[4]["device"] == "NVIDIA A100"


def test_what_is_wrong_has_no_time(records: list[Record]) -> None:
    row = next(row for row in read(page(records, [])).rows if row.get("implementation") == "flex")
    assert not {"ms", "cold ms", "rate", "roofline"} & set(row)


def test_goals_and_runs(records: list[Record]) -> None:
    rows = read(page(records, OUTCOMES)).rows
    results = {row["goal"]: row["result"] for row in rows if "goal" in row}
    assert results == {"a-goal": "met", "b-goal": "not measured", "c-goal": "not met"}
    (run,) = [row for row in rows if "commit" in row]
    assert run["commit"] == "abc1234"
    assert run["clocks, MHz"] == "sm 1980"


def test_text_stays_text(records: list[Record]) -> None:
    reader = read(page(records, OUTCOMES))
    assert reader.count("script") == 1
    notes = [row["note"] for row in reader.rows if "note" in row]
    assert notes == [EVIL]
    assert [row["remark"] for row in reader.rows if row.get("goal") == "b-goal"] == [EVIL]


def test_nothing_comes_from_elsewhere(records: list[Record]) -> None:
    reader = read(page(records, OUTCOMES))
    for tag, attributes in reader.tags:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base")
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    policy = next(attributes for tag, attributes in reader.tags if attributes.get("http-equiv"))
    assert (policy["content"] or "").startswith("default-src 'none';")
    assert reader.count("figure") == 4, "two sweeps, two of error against speed"


def test_only_the_newest_run_is_shown(make_record: MakeRecord) -> None:
    old, new = (make_record(seconds=s, time=f"2026-01-0{s}T00:00:00+00:00") for s in (1, 2))
    rows = [row for row in read(page([old, new], [])).rows if "implementation" in row]
    assert [row["ms"] for row in rows] == ["2,000 (1,980–2,020)"]


def test_without_records_there_are_no_pictures() -> None:
    assert read(page([], [])).count("figure") == 0


def test_pictures_need_no_matplotlib(records: list[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert read(page(records, [])).count("figure") == 4


def test_the_template_has_no_place_left_over(records: list[Record], tmp_path: Path) -> None:
    write_page(records, OUTCOMES, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert text.replace("{{rows}}", "").count("{{") == 0
    assert text.count("{{rows}}") == 4, "what looks like a place in two notes stays, shown and as a value"


@pytest.mark.slow
def test_sorting_and_filtering_in_a_browser(records: list[Record], tmp_path: Path, opened: Open) -> None:
    file = tmp_path / "index.html"
    write_page(records, OUTCOMES, file)
    page = opened(file).page
    results = page.locator("#results")
    # By its text: an arrow that shows the order is part of the button's name.
    head = results.locator("th button").get_by_text("ms", exact=True)

    def shown() -> list[str]:
        return results.locator("tbody tr:visible [data-name=implementation]").all_text_contents()

    # Of equal times the order stays; what has none comes last, whichever way.
    head.click()
    assert shown() == ["xformer triton", "xformer triton", "eager", "sdpa flash", "flex"]
    head.click()
    assert shown() == ["sdpa flash", "xformer triton", "xformer triton", "eager", "flex"]
    assert results.locator("th[aria-sort=descending]").all_text_contents() == ["ms"]
    results.get_by_label("Search").fill("flash")
    assert shown() == ["sdpa flash"]
    results.get_by_label("Search").fill("")
    results.get_by_label("device").select_option("NVIDIA A100")
    assert shown() == ["eager"]
    assert results.locator("output").text_content() == "1 of 5"
    results.get_by_role("button", name="Show all").click()
    # Not `wait_for_function`: it evaluates text, which the page's policy forbids.
    results.locator("output", has_text="5 of 5").wait_for()
    assert len(shown()) == 5


@pytest.mark.slow
def test_a_narrow_window_shows_cards_and_hides_no_column(
    records: list[Record], tmp_path: Path, opened: Open
) -> None:
    file = tmp_path / "index.html"
    write_page(records, OUTCOMES, file)
    page = opened(file, size=(400, 800)).page
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 400, "nothing has to be scrolled sideways"
    row = page.locator("#results tbody tr").first
    names = row.locator("td:visible").evaluate_all("cells => cells.map(one => one.dataset.name)")
    assert {"implementation", "ms", "error"} <= set(names)
