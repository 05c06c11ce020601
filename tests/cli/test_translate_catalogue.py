"""Catalogues are filled from the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from xformer.cli.translate import Translate
from xformer.cli.translate_catalogue import fill, open_catalogue, report
from xformer.errors import InputError
from xformer.progress import Progress
from xformer.translation.translator import Search, Translation

HEAD = 'msgid ""\nmsgstr ""\n"Language: de\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n\n'
BODY = 'msgid "dog %s"\nmsgstr ""\n\nmsgid "a very long text"\nmsgstr ""\n\nmsgid "cat"\nmsgstr "Katze"\n'


class Shouting:
    """A translator whose best hypothesis loses placeholders, and that reads ten characters."""

    def check(self, texts: Sequence[str], first: int = 0) -> None:
        if any(len(text) > 10 for text in texts):
            raise InputError("too long")

    def translate(
        self, texts: Sequence[str], to: str, source: str | None, search: Search, *, first: int = 0
    ) -> list[list[Translation]]:
        assert to == "de"
        return [[Translation(one, 0, 0) for one in (text[:3], text.upper(), f"{text}!")] for text in texts]


@pytest.fixture
def po(tmp_path: Path) -> Path:
    path = tmp_path / "messages.po"
    path.write_text(HEAD + BODY, encoding="utf-8")
    return path


def test_filled_and_said(po: Path, tmp_path: Path) -> None:
    out = tmp_path / "de.po"
    catalogue = open_catalogue([po], out, "de")
    shouting: Any = Shouting()
    done = fill(catalogue, shouting, "de", None, Search(), Progress())
    catalogue.save(out)
    expected = HEAD + BODY.replace('msgid "dog %s"\nmsgstr ""', '#, fuzzy\nmsgid "dog %s"\nmsgstr "dog %s!"')
    assert out.read_text(encoding="utf-8") == expected
    said = report(catalogue, out, done, as_json=False)
    assert f"{out}: filled 1 messages, marked fuzzy" in said
    assert "  line 9: is longer than the model reads: a very long text" in said
    row = json.loads(report(catalogue, out, done, as_json=True))
    assert (row["filled"], row["before"]["untranslated"], row["kept"][0]["line"]) == (1, 2, 9)


def test_many_that_stay_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.po"
    path.write_text(
        HEAD + "".join(f'msgid "{i} %d many words"\nmsgstr ""\n\n' for i in range(25)), encoding="utf-8"
    )
    shouting: Any = Shouting()
    catalogue = open_catalogue([path], tmp_path / "out.po", "de")
    said = report(catalogue, path, fill(catalogue, shouting, "de", None, Search(), Progress()), as_json=False)
    assert said.endswith("and 5 more")


def test_what_cannot_be_filled_is_named(po: Path, tmp_path: Path) -> None:
    """Before a model is loaded: there is none."""
    none = tmp_path / "no-run"
    with pytest.raises(InputError, match="say with -o which file to write"):
        Translate(none, "de", (po,)).run_command()
    with pytest.raises(InputError, match="expected it alone, got 2 files"):
        Translate(none, "de", (po, po), out=tmp_path / "out.po").run_command()
    with pytest.raises(InputError, match="its header says Language: de, and --to says fr"):
        Translate(none, "fr", (po,), out=tmp_path / "out.po").run_command()
    with pytest.raises(InputError, match="--out: expected with a catalogue"):
        Translate(none, "de", (), out=tmp_path / "out.po").run_command()
    with pytest.raises(InputError, match="no-run"):
        Translate(none, "de", (po,), out=tmp_path / "out.po").run_command()
    assert not (tmp_path / "out.po").exists()
