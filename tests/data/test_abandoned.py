"""Folders of killed imports are removed by the next import; folders of running ones are not.

Covers xformer.storage.checksummed.atomic_folder, too.
"""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xformer.data.corpus import import_corpus, open_corpus
from xformer.data.import_plan import ImportOptions
from xformer.data.manifest import Source
from xformer.data.record import Record
from xformer.data.split import SplitSizes
from xformer.storage.checksummed import atomic_folder

OPTIONS = ImportOptions(SplitSizes(dev=0, test=0))
SOURCES = [Source("by hand", "CC0-1.0")]

KILLED = """
import os, signal, sys
from pathlib import Path
from test_abandoned import OPTIONS, SOURCES, Record, import_corpus

def records():
    yield Record("one", "en", "1", "s")
    os.kill(os.getpid(), signal.SIGKILL)

import_corpus(records(), Path(sys.argv[1]), OPTIONS, SOURCES)
"""


def _killed_import(target: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{KILLED}"
    done = subprocess.run([sys.executable, "-c", code, str(target)], timeout=60)
    assert done.returncode == -signal.SIGKILL


def _hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_the_next_import_of_the_same_corpus_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    _killed_import(tmp_path / "corpus")
    (left,) = _hidden(tmp_path)
    assert left.startswith(".corpus.")
    import_corpus([Record("two", "en", "2", "s")], tmp_path / "other", OPTIONS, SOURCES)
    assert _hidden(tmp_path) == [left]
    import_corpus([Record("one", "en", "1", "s")], tmp_path / "corpus", OPTIONS, SOURCES)
    assert _hidden(tmp_path) == []
    corpus = open_corpus(tmp_path / "corpus", verify=True)
    assert [record.text for record in corpus.records("train")] == ["one"]


def test_what_is_being_filled_and_what_is_somebody_else_s_stays(tmp_path: Path) -> None:
    for name in (".corpus.settings", ".corpus", ".corpus.tar.partial.txt", ".corpus2.abcdefgh.partial"):
        (tmp_path / name).mkdir()
    (tmp_path / ".corpus.note.partial").write_text("a file, not a folder")
    before = _hidden(tmp_path)
    with atomic_folder(tmp_path / "corpus") as slow:
        (slow / "a").write_text("slow")
        # Another process, since a lock is a process's own.
        code = (
            "import sys; from pathlib import Path; from xformer.storage.checksummed import atomic_folder\n"
            "with atomic_folder(sys.argv[1]) as folder: (folder / 'a').write_text('quick')"
        )
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "corpus")], check=True, timeout=60)
        assert (slow / "a").read_text() == "slow"
        (tmp_path / "corpus").rename(tmp_path / "elsewhere")
    assert (tmp_path / "corpus" / "a").read_text() == "slow"
    assert _hidden(tmp_path) == before


def test_a_folder_that_was_taken_for_abandoned_before_it_was_locked_is_made_again(tmp_path: Path) -> None:
    taken: list[str] = []
    lock = fcntl.flock

    def too_late(descriptor: int, how: int) -> None:
        if not taken and how == fcntl.LOCK_EX:
            (folder,) = tmp_path.glob(".corpus.*")
            taken.append(folder.name)
            shutil.rmtree(folder)
        lock(descriptor, how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xformer.storage.checksummed.fcntl.flock", too_late)
        with atomic_folder(tmp_path / "corpus") as folder:
            assert folder.name not in taken
            (folder / "a").write_text("a")
    assert len(taken) == 1
    assert (tmp_path / "corpus" / "a").read_text() == "a"
