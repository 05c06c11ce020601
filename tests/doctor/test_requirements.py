from __future__ import annotations

import platform
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from xformer.doctor.requirements import (
    Requirement,
    install_line,
    is_older,
    python_line,
    requirements,
    version_of,
)

ROOT = Path(__file__).resolve().parents[2]


def test_metadata_is_understood() -> None:
    lines = [
        "numpy>=2.0",
        'pyarrow>=15; extra == "parquet"',
        'sentence-transformers[onnx,openvino]>=5; extra == "onnx"',
        'triton; platform_system == "Nowhere" and platform_machine == "x86_64"',
        "plain",
    ]
    assert list(requirements(lines)) == [
        Requirement("numpy", "2.0", None),
        Requirement("pyarrow", "15", "parquet"),
        Requirement("sentence-transformers", "5", "onnx"),
        Requirement("plain", "", None),
    ]
    assert [one.wanted for one in requirements(lines)][-2:] == ["sentence-transformers>=5", "plain"]


def test_every_requirement_of_the_project_is_understood() -> None:
    """As packaging, the library for it, understands them."""
    packaging = pytest.importorskip("packaging.requirements")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra, wanted in project["optional-dependencies"].items():
        lines += [f'{line}; extra == "{extra}"' for line in wanted]
    expected = []
    for line in lines:
        known = packaging.Requirement(line)
        marker = known.marker
        extra = (
            str(marker).partition('extra == "')[2].strip('"') if marker and "extra" in str(marker) else None
        )
        if marker is None or marker.evaluate({"extra": extra or ""}):
            least = str(known.specifier).removeprefix(">=")
            expected.append(Requirement(known.name, least, extra))
    assert list(requirements(lines)) == expected
    assert ("triton" in [one.name for one in expected]) == (platform.system() == "Linux")


@pytest.mark.parametrize(
    ("version", "least", "older"),
    [
        ("2.9.1", "2.11", True),
        ("2.11", "2.11.0", False),
        ("2.13.0+cpu", "2.11", False),
        ("0.2.1", "0.2.2", True),
        ("2.11.0rc1", "2.11", False),
        ("10", "9.9", False),
    ],
)
def test_versions_are_compared_by_number(version: str, least: str, older: bool) -> None:
    assert is_older(version, least) == older


def test_what_is_installed_has_a_version() -> None:
    assert version_of("numpy") == metadata.version("numpy")
    assert version_of("no-such-library-anywhere") is None
    assert platform.python_version() in python_line()


def test_a_checkout_is_installed_from_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Distribution:
        def __init__(self, origin: str | None) -> None:
            self.origin = origin

        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return self.origin

    def install(origin: str | None) -> str:
        monkeypatch.setattr(metadata, "distribution", lambda name: Distribution(origin))
        return install_line("parquet")

    editable = f'{{"url": "file://{tmp_path}", "dir_info": {{"editable": true}}}}'
    assert install(editable) == f"pip install -e '{tmp_path}[parquet]'"
    (tmp_path / "constraints.txt").write_text("", encoding="utf-8")
    assert install(editable) == f"pip install -c '{tmp_path}/constraints.txt' -e '{tmp_path}[parquet]'"
    for other in (None, "", "{", '{"url": "https://example.org/xformer.whl"}', "[]"):
        assert install(other) == "pip install 'xformer[parquet]'"
