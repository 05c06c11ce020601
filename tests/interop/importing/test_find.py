from pathlib import Path

import pytest

from xformer.errors import InputError
from xformer.interop.importing.find import find_folder
from xformer.progress import Progress

COMMIT = "0123456789abcdef"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local cache as `huggingface_hub` lays it out, with one model."""
    hub = tmp_path / "hub"
    repository = hub / "models--some--model"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_bytes(b"")
    for name in ("HF_HOME", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    return snapshot


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def fail(*_: object, **__: object) -> str:
        raise OSError("no network here\nand a second line")

    monkeypatch.setattr(hub, "snapshot_download", fail)


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_an_id_is_found_in_the_cache(cache: Path, revision: str) -> None:
    assert find_folder("some/model", revision, Progress()) == cache


def test_the_cache_lies_where_the_variables_say(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert find_folder("some/model", "main", Progress()) == cache
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "huggingface").mkdir(parents=True)
    (tmp_path / "home" / "huggingface" / "hub").symlink_to(tmp_path / "hub")
    assert find_folder("some/model", "main", Progress()).name == COMMIT


def test_a_folder_goes_first(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert find_folder("some/model", "main", Progress()) == Path("some/model")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("remove", "revision"), [("model.safetensors", "main"), ("config.json", "main"), ("", "other")]
)
def test_what_the_cache_lacks_is_downloaded(cache: Path, remove: str, revision: str) -> None:
    if remove:
        (cache / remove).unlink()
    expected = r"some/model: there is no such folder, .* no such model; .* downloaded: no network here$"
    with pytest.raises(InputError, match=expected):
        find_folder("some/model", revision, Progress())


def test_a_download_is_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked: list[tuple[str, str]] = []

    def download(name: str, *, revision: str, allow_patterns: list[str], ignore_patterns: list[str]) -> str:
        assert not any(pattern.endswith((".bin", ".py", ".pt")) for pattern in allow_patterns)
        asked.append((name, revision))
        return str(cache)

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert find_folder("other/model", "v1", Progress()) == cache
    assert asked == [("other/model", "v1")]


def test_without_the_hubs_package_it_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match="to download it: pip install huggingface_hub"):
        find_folder("other/model", "main", Progress())


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("source", ["/nowhere/at/all", "../some/model", "some/model/more", "so..me/model"])
def test_what_is_neither_folder_nor_id_is_named(source: str) -> None:
    with pytest.raises(InputError, match="expected a folder with"):
        find_folder(source, "main", Progress())


def test_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="found a file"):
        find_folder(tmp_path / "file", "main", Progress())
