"""Verses by their numbers, in Arabic and in translations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.embedded.packing import tar
from xformer.data.embedded.verses import read_verses
from xformer.errors import InputError


def chapter(**verse: Any) -> str:
    return json.dumps(
        [{"id": 1, "name": "x", "verses": [{"id": 1, **verse}, {"id": 2, **dict.fromkeys(verse, " ")}]}]
    )


def test_verses_of_one_number_are_one_group(tmp_path: Path) -> None:
    files = {
        "package/dist/quran.json": chapter(text="بِسۡمِ"),
        "package/dist/quran_en.json": chapter(text="بِسۡمِ", translation="In the name"),
        "package/dist/quran_transliteration.json": chapter(text="بِسۡمِ", transliteration="Bismi"),
        "package/dist/chapters/en/1.json": "{}",
    }
    (tmp_path / "quran-json-1.0.tgz").write_bytes(tar(files))
    records = list(read_verses([tmp_path / "quran-json-1.0.tgz"]))
    assert [(record.language, record.text, record.group) for record in records] == [
        ("ar", "بِسۡمِ", "quran 1:1"),
        ("en", "In the name", "quran 1:1"),
    ]
    assert records[1].source == "quran-json-1.0.tgz:package/dist/quran_en.json"


@pytest.mark.parametrize(
    "content", ["{", "{}x", "[1]", '[{"id": 1, "verses": [{"id": 1}]}]', '{"a": 1}', "3"]
)
def test_a_file_of_another_form(content: str, tmp_path: Path) -> None:
    (tmp_path / "quran_de.json").write_text(content)
    with pytest.raises(InputError, match=r"quran_de\.json: expected chapters with `id` and `verses`"):
        list(read_verses([tmp_path]))


def test_without_verses(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected verses .* in it, found none"):
        list(read_verses([tmp_path]))
