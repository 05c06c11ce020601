from __future__ import annotations

from pathlib import Path

import pytest

from xformer.doctor.competition import Look, competition


def stat(root: Path, number: int, name: str, parent: int, ticks: int) -> None:
    folder = root / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    fields = ["S", parent, *[0] * 9, ticks - 1, 1, 0, 0]
    (folder / "stat").write_text(f"{number} ({name}) {' '.join(map(str, fields))}\n", encoding="utf-8")


def total(root: Path, busy: int) -> None:
    (root / "stat").write_text(f"cpu  {busy} 0 0 9999 9999 0 0 0 0 0\ncpu0 1 2 3\n", encoding="utf-8")


def test_the_busiest_come_first_and_one_s_own_do_not_count(tmp_path: Path) -> None:
    for number, name, parent in ((1, "init", 0), (7, "me", 1), (8, "mine", 7), (9, "a (b) c", 1)):
        stat(tmp_path, number, name, parent, 10)
    total(tmp_path, 100)
    before = Look.now(tmp_path)
    stat(tmp_path, 1, "init", 0, 12)
    stat(tmp_path, 7, "me", 1, 30)
    stat(tmp_path, 8, "mine", 7, 50)
    stat(tmp_path, 9, "a (b) c", 1, 60)
    stat(tmp_path, 10, "new", 1, 20)
    total(tmp_path, 100 + 2 + 20 + 40 + 50 + 20 + 70)
    after = Look.now(tmp_path)
    assert before is not None
    assert after is not None
    seconds = max(after.at - before.at, 1e-3)
    found = competition(before, after, {7}, ticks_per_second=100 / seconds)
    assert [(name, number) for name, number, _ in found.processes] == [
        ("a (b) c", 9),
        ("new", 10),
        ("init", 1),
    ]
    assert [used for _, _, used in found.processes] == pytest.approx([0.5, 0.2, 0.02])
    assert found.unseen == pytest.approx(0.7)
    assert found.cores == pytest.approx(1.42)


def test_what_may_not_be_read_is_counted(tmp_path: Path) -> None:
    stat(tmp_path, 1, "init", 0, 10)
    total(tmp_path, 10)
    (tmp_path / "2").mkdir()  # as with hidepid
    look = Look.now(tmp_path)
    assert look is not None
    assert (list(look.used), look.hidden) == ([1], 1)


@pytest.mark.parametrize("files", [{}, {"stat": ""}, {"stat": "cpu x\n"}])
def test_a_system_that_lists_nothing(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    look = Look.now(tmp_path)
    assert look is None or look.used == {}
    assert Look.now(tmp_path / "nowhere") is None
