"""What is recorded of a package, and where it is kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from xformer.data.embedded.packages import Package, cache_folder, read_packages

WHEEL = Package("pypi", "one", "1.0", "one-1.0-py3-none-any.whl", "0" * 64, "MIT")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("sha256", "abc", "sha256: expected 64"),
        ("sha256", "A" * 64, "sha256: expected 64"),
        ("filename", "../one.whl", r"filename: expected the bare name of a \.whl file"),
        ("filename", ".whl", "filename: expected the bare name"),
        ("filename", "one-1.0.tar.gz", r"filename: expected the bare name of a \.whl file"),
        ("registry", "crates", "registry: expected one of pypi, npm, debian, got 'crates'"),
        ("licence", " ", "licence: expected a text"),
    ],
)
def test_packages_are_checked(field: str, value: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(WHEEL, **{field: value})


def test_tables_of_a_file_may_share_fields() -> None:
    table = {
        "name": "one",
        "version": "1.0",
        "filename": WHEEL.filename,
        "sha256": "0" * 64,
        "licence": "MIT",
    }
    assert read_packages([table], registry="pypi") == (WHEEL,)
    other = read_packages([{**table, "licence": "BSD-3-Clause"}], registry="pypi", licence="MIT")
    assert other[0].licence == "BSD-3-Clause"


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XFORMER_CACHE", str(tmp_path))
    assert cache_folder("gettext") == tmp_path / "gettext"
    monkeypatch.delenv("XFORMER_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder("gettext") == tmp_path / ".cache" / "xformer" / "gettext"
