"""The bench of the attention page, on small pages that are made here: what it measures, what it refuses.

Covers browser, command, measure, pictures and sample of xformer.benchmarks.page.
"""

from __future__ import annotations

import json
import struct
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from xformer.benchmarks.page.browser import find_chromium, visit
from xformer.benchmarks.page.command import PageBench
from xformer.benchmarks.page.measure import Opened, measure_opening, summary
from xformer.benchmarks.page.pictures import Picture, take
from xformer.errors import InputError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DRAWING = """<!doctype html><title>d</title><p>words<canvas width="300" height="200"></canvas>
<script>
const context = document.querySelector("canvas").getContext("2d");
context.fillRect(0, 0, 10, 10);
addEventListener("pointermove", event => { document.title = "moved"; context.fillRect(event.x, 0, 1, 9); });
</script>"""


def opening(first_paint: float, frames: float) -> Opened:
    return Opened(first_paint, 1.0, frames, 0.02, 0.017, 0.004, 100)


def test_medians_are_held_beside_what_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_bytes(b"x" * 1000)
    found = summary(file, [opening(0.1, 60.0), opening(9.0, 30.0), opening(0.2, 59.9)])
    assert found["first_paint_s"] == {"median": 0.2, "all": [0.1, 9.0, 0.2]}
    assert found["met"] == {"first_paint_s": True, "bytes": True, "frames_per_s": True}
    found = summary(file, [opening(1.6, 57.0)])
    assert found["met"] == {"first_paint_s": False, "bytes": True, "frames_per_s": False}
    file.write_bytes(b"x" * 6_000_000)
    assert not summary(file, [opening(1.0, 60.0)])["met"]["bytes"]


def test_which_chromium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XFORMER_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_chromium() is None
    for name in ("google-chrome", "chromium"):
        (tmp_path / name).write_text("", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
        assert find_chromium() == str(tmp_path / name)
    monkeypatch.setenv("XFORMER_CHROMIUM", str(tmp_path / "google-chrome"))
    assert find_chromium() == str(tmp_path / "google-chrome")
    monkeypatch.setenv("XFORMER_CHROMIUM", "no-such-browser")
    with pytest.raises(InputError, match=r"XFORMER_CHROMIUM: .*no-such-browser"):
        find_chromium()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (PageBench(), "neither"),
        (PageBench(run=Path("a"), page=Path("b")), "both"),
        (PageBench(page=Path("no-such-page.html")), "no-such-page.html"),
        (PageBench(run=Path("a"), rounds=0), "--rounds"),
        (PageBench(run=Path("a"), seconds=0.0), "--seconds"),
    ],
)
def test_what_makes_no_sense_is_refused(given: PageBench, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given.run_command()


@pytest.mark.slow
def test_a_page_is_measured(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(DRAWING, encoding="utf-8")
    found = measure_opening(browser, file, seconds=0.4)
    assert found.first_paint_s > 0
    assert found.drawn_s > 0
    assert 1 < found.frames_per_s < 500
    assert 1 / found.frames_per_s <= found.slowest_frame_s
    assert 0 < found.busy_s < 1
    assert found.moves > 2


@pytest.mark.slow
def test_a_page_that_draws_nothing_is_refused(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("<!doctype html><p>words", encoding="utf-8")
    with pytest.raises(InputError, match="drew nothing"):
        measure_opening(browser, file, seconds=0.2, patience=0.2)


@pytest.mark.slow
def test_a_visit_hears_errors_and_sees_requests(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(
        '<!doctype html><img src="other.png"><script>console.error("a"); throw new Error("b");</script>',
        encoding="utf-8",
    )
    with visit(browser, file) as found:
        found.page.wait_for_load_state("load")
        found.page.evaluate("1")
    assert {"a", "b"} <= set(found.errors)
    assert found.requests == [(tmp_path / "other.png").as_uri()]


@pytest.mark.slow
def test_pictures_have_their_size(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(DRAWING, encoding="utf-8")
    wanted = [Picture("one", "light", (200, 100)), Picture("two", "dark", (100, 120), "a=1", sharp=2.0)]
    made = take(browser, file, tmp_path / "out", wanted)
    assert [path.name for path in made] == ["one.png", "two.png"]
    sizes = [struct.unpack(">II", path.read_bytes()[16:24]) for path in made]
    assert sizes == [(200, 100), (200, 240)]
    file.write_text("<!doctype html><script>throw new Error('broken')</script>", encoding="utf-8")
    with pytest.raises(InputError, match="broken"):
        take(browser, file, tmp_path / "out", wanted[:1])


@pytest.mark.slow
def test_the_command_keeps_a_record(
    tmp_path: Path, browser: Browser, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = tmp_path / "page.html", tmp_path / "page.json"
    file.write_text(DRAWING, encoding="utf-8")
    # A thread can have one Playwright: the command gets that of the other tests.
    monkeypatch.setattr("xformer.benchmarks.page.browser.chromium", lambda: nullcontext(browser))
    status = PageBench(page=file, rounds=2, seconds=0.3, out=out).run_command()
    record = json.loads(out.read_text(encoding="utf-8"))
    assert record["bytes"] == file.stat().st_size
    assert len(record["first_paint_s"]["all"]) == 2
    assert record["commit"]
    assert status == int(not all(record["met"].values()))
    assert "first paint" in capsys.readouterr().out
