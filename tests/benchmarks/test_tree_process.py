"""A process on the files of a tree. The tests of `bench company` end one that takes too long."""

from __future__ import annotations

from pathlib import Path

import pytest

from xformer.benchmarks.tree_process import TreeProcessError, run_in_tree


def test_the_files_of_the_tree_come_first(tmp_path: Path) -> None:
    for folder in ("tree", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "module.py").write_text(f"print({folder!r}, 'č')", encoding="utf-8")
    (tmp_path / "other" / "more.py").write_text("import module", encoding="utf-8")
    given = {"PYTHONPATH": str(tmp_path / "other"), "PYTHONIOENCODING": "utf-8"}
    assert run_in_tree(tmp_path / "tree", ["-m", "more"], environment=given) == "tree č\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit('broken')", "broken"),
        ("raise SystemExit(3)", "exit status 3"),
        ("import sys; sys.stderr.write('x' * 5000 + 'end'); sys.exit(1)", "x" * 1997 + "end"),
        ("import sys; sys.stderr.buffer.write(b'\\xff'); sys.exit(1)", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_what_a_failed_process_said_is_told(code: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TreeProcessError) as error:
        run_in_tree(tmp_path, ["-c", code])
    assert str(error.value) == said
