"""docs/ecosystem.md names tests that are there, and the torch that is pinned."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ecosystem.md"


def test_its_tests_exist_and_torch_is_the_pinned_one() -> None:
    page = PAGE.read_text(encoding="utf-8")
    linked = re.findall(r"\]\((\.\./[^)]+)\)", page)
    assert len(linked) > 20
    assert [link for link in linked if not (PAGE.parent / link).exists()] == []
    constraints = (PAGE.parents[1] / "constraints.txt").read_text(encoding="utf-8")
    (pinned,) = re.findall(r"^torch==([0-9.]+)$", constraints, re.MULTILINE)
    assert set(re.findall(r"^\| torch \| .*? \| ([0-9.]+) \|", page, re.MULTILINE)) == {pinned}
