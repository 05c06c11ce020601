"""Packages are fetched by their registries' tools: only recorded hashes are kept, errors name a way out.

Covers `pip` and `tools`. npm and apt-get are commands of the test's own; so is pip, except in the
test of pip itself.
"""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.embedded.packing import package
from xformer.data.embedded import fetch, pip, tools
from xformer.data.embedded.fetch import fetch_packages
from xformer.data.embedded.packages import Package, Registry
from xformer.errors import InputError
from xformer.storage.checksummed import scratch_folder

REGISTRIES: tuple[Registry, ...] = ("pypi", "npm", "debian")
PYTHON = sys.executable
CONTENT = {registry: f"the file of {registry}".encode() for registry in REGISTRIES}
PACKAGES = [package(registry, f"from-{registry}", CONTENT[registry]) for registry in REGISTRIES]
PIP, NPM, DEBIAN = PACKAGES

# Writes what it was asked for into a file, and the package of the shelf into the folder where it runs.
TOOL = """#!{python}
import pathlib, sys
asked = " ".join(sys.argv[1:])
with open({log!r}, "a") as log:
    log.write(asked + "\\n")
if pathlib.Path({shelf!r}, "broken").exists():
    print("E: one\\nE: two\\nE: three", file=sys.stderr)
    sys.exit("E: 503 Service Unavailable")
for file in pathlib.Path({shelf!r}).iterdir():
    if file.name.split("-1.0")[0].split("_1.0")[0] in asked:
        pathlib.Path(file.name).write_bytes(file.read_bytes())
"""


class Shelf:
    """Stands in for the registries: what the tools bring, and what they were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tools, self.log = folder / "shelf", folder / "tools", folder / "log"
        self.folder.mkdir()
        self.tools.mkdir()
        for each in PACKAGES:
            self.put(each.filename, CONTENT[each.registry])
        text = TOOL.format(python=sys.executable, log=str(self.log), shelf=str(self.folder))
        for name in ("npm", "apt-get", "python"):
            path = self.tools / name
            path.write_text(text)
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def put(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf(tmp_path)
    monkeypatch.setenv("PATH", str(shelf.tools))
    monkeypatch.setattr(pip.sys, "executable", str(shelf.tools / "python"))
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return shelf


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def silent(line: str) -> None:
    pass


def test_missing_packages_are_fetched_and_kept(shelf: Shelf, tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "new" / "cache"
    fetched = fetch_packages(PACKAGES, folder, say=said.append)
    assert {each: path.read_bytes() for each, path in fetched.paths.items()} == {
        each: CONTENT[each.registry] for each in PACKAGES
    }
    assert fetched.missing == {}
    assert names(folder) == sorted(each.filename for each in PACKAGES)
    asked = shelf.asked()
    assert asked[0].endswith("from-pypi==1.0")
    assert {"--no-deps", "--only-binary=:all:", "--ignore-requires-python"} < set(asked[0].split())
    assert asked[1].startswith("pack ")
    assert asked[1].endswith(" from-npm@1.0")
    assert asked[2] == "download --quiet from-debian=1.0"
    assert len(said) == 1
    assert str(folder) in said[0]
    assert fetch_packages(PACKAGES, folder, say=said.append) == fetched
    assert (len(shelf.asked()), len(said)) == (3, 1)  # nothing asked, nothing said


def test_a_damaged_file_is_fetched_again_and_that_is_said(shelf: Shelf, tmp_path: Path) -> None:
    said: list[str] = []
    path = fetch_packages(PACKAGES, tmp_path / "cache", say=said.append).paths[NPM]
    path.write_bytes(b"cut sho")
    fetch_packages(PACKAGES, tmp_path / "cache", say=said.append)
    assert [line.split()[-1] for line in shelf.asked()[3:]] == ["from-npm@1.0"]
    assert path.read_bytes() == CONTENT["npm"]
    assert any(f"{path}: damaged" in line for line in said)


@pytest.mark.parametrize("wrong", PACKAGES, ids=REGISTRIES)
def test_what_has_another_hash_is_thrown_away(wrong: Package, shelf: Shelf, tmp_path: Path) -> None:
    shelf.put(wrong.filename, b"something else")
    with pytest.raises(InputError, match=f"{wrong.filename}: expected SHA-256 {wrong.sha256}, got"):
        fetch_packages(PACKAGES, tmp_path / "cache", say=silent)
    before = PACKAGES[: PACKAGES.index(wrong)]
    # What was good stays, and no temporary folder does.
    assert names(tmp_path / "cache") == sorted(each.filename for each in before)


def test_another_file_than_the_recorded_one(shelf: Shelf, tmp_path: Path) -> None:
    (shelf.folder / DEBIAN.filename).rename(shelf.folder / "from-debian_1.0_amd64.deb")
    with pytest.raises(
        InputError, match=r"expected from-debian_1\.0_all\.deb, got from-debian_1\.0_amd64\.deb"
    ):
        fetch_packages([DEBIAN], tmp_path / "cache", say=silent)
    (shelf.folder / "from-debian_1.0_amd64.deb").unlink()
    with pytest.raises(InputError, match=r"expected from-debian_1\.0_all\.deb, got nothing"):
        fetch_packages([DEBIAN], tmp_path / "cache", say=silent)


@pytest.mark.parametrize("each", PACKAGES, ids=REGISTRIES)
def test_without_a_network_the_way_out_is_named(each: Package, shelf: Shelf, tmp_path: Path) -> None:
    shelf.put("broken", b"")
    with pytest.raises(InputError) as caught:
        fetch_packages([each, *PACKAGES], tmp_path / "cache", say=silent)
    message = str(caught.value)
    assert "network" in message
    assert "E: 503 Service Unavailable" in message
    assert "E: one" in message
    assert str(tmp_path / "cache") in message
    assert all(other.filename in message and other.sha256 in message for other in PACKAGES)
    for other in PACKAGES:  # put there by hand
        (tmp_path / "cache" / other.filename).write_bytes(CONTENT[other.registry])
    assert len(fetch_packages(PACKAGES, tmp_path / "cache", say=silent).paths) == 3


def test_packages_whose_tool_is_absent_are_named_and_the_others_fetched(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("npm", "apt-get"):
        (shelf.tools / name).unlink()
    fetched = fetch_packages(PACKAGES, tmp_path / "cache", say=silent)
    assert list(fetched.paths) == [PIP]
    assert fetched.missing == {
        NPM: "npm is not on this machine, and no setting names a registry of npm",
        DEBIAN: "apt-get is not on this machine",
    }
    monkeypatch.setattr(pip, "find_spec", lambda name: None)
    fetched = fetch_packages([package("pypi", "other", b"")], tmp_path / "cache", say=silent)
    assert fetched.missing == {
        package("pypi", "other", b""): f"pip is not installed in {shelf.tools / 'python'}"
    }


def test_a_file_that_was_put_there_needs_no_tool(shelf: Shelf, tmp_path: Path) -> None:
    (shelf.tools / "apt-get").unlink()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / DEBIAN.filename).write_bytes(CONTENT["debian"])
    assert list(fetch_packages([DEBIAN], tmp_path / "cache", say=silent).paths) == [DEBIAN]


def test_what_a_killed_fetch_leaves_is_removed_by_the_next(shelf: Shelf, tmp_path: Path) -> None:
    killed = "import os, signal; from pathlib import Path\n"
    killed += "from xformer.storage.checksummed import scratch_folder\n"
    killed += f"with scratch_folder(Path({str(tmp_path)!r}, 'cache', 'packages')) as folder:\n"
    killed += "    (folder / 'half').write_text(''); os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([PYTHON, "-c", killed], check=False)
    assert len(names(tmp_path / "cache")) == 1
    with scratch_folder(tmp_path / "cache" / "packages") as running:
        fetch_packages([DEBIAN], tmp_path / "cache", say=silent)
        assert names(tmp_path / "cache") == sorted([running.name, DEBIAN.filename])
    assert names(tmp_path / "cache") == [DEBIAN.filename]


def test_a_tool_that_cannot_be_started(shelf: Shelf, tmp_path: Path) -> None:
    (shelf.tools / "apt-get").write_text("#!/no/such/program\n")
    (shelf.tools / "apt-get").chmod(0o755)
    with pytest.raises(tools.Missing, match="apt-get is not on this machine"):
        tools.run_tool(["apt-get", "download"], folder=tmp_path)


def test_pip_itself_without_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_NO_INDEX", "PIP_ISOLATED"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(InputError, match=r"(?s)could not fetch from-pypi 1\.0 \(pypi\).*said:.*from-pypi"):
        fetch_packages([PIP], tmp_path, say=silent)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*cannot be written.*XFORMER_CACHE"):
        fetch_packages(PACKAGES, tmp_path / "file", say=silent)


def test_every_registry_has_its_tool() -> None:
    assert set(fetch._DOWNLOAD) == set(REGISTRIES)
