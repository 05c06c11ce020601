"""What is asked of the hub, by a client that talks to nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xformer.errors import InputError
from xformer.interop.export import push
from xformer.interop.export.push import check_repository, push_folder


class Hub:
    """Keeps what it is asked for."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._error = error

    def create_repo(self, name: str, **options: Any) -> str:
        self.asked.append((name, options))
        if self._error is not None:
            raise self._error
        return f"https://hub/{name}"

    def upload_folder(self, **options: Any) -> None:
        self.asked.append(("upload", options))


@pytest.mark.parametrize("public", [False, True])
def test_a_new_repository_is_private_unless_asked(tmp_path: Path, public: bool) -> None:
    hub = Hub()
    assert push_folder(tmp_path, "me/demo", public=public, client=hub) == "https://hub/me/demo"
    (name, options), (_, sent) = hub.asked
    assert (name, options) == ("me/demo", {"private": not public, "exist_ok": True})
    assert sent["repo_id"] == "me/demo"
    assert sent["folder_path"] == str(tmp_path)


@pytest.mark.parametrize("error", [OSError("no token"), ValueError("bad name")])
def test_what_the_hub_refuses_is_said_and_the_folder_stays(tmp_path: Path, error: Exception) -> None:
    hub = Hub(error)
    with pytest.raises(InputError, match=rf"--push me/demo: {error}\. The folder .* is complete"):
        push_folder(tmp_path, "me/demo", public=False, client=hub)
    assert len(hub.asked) == 1
    assert tmp_path.is_dir()


@pytest.mark.parametrize("name", ["demo", "me/", "/demo", "me/a b", "a/b/c", "https://hub/me/demo", "é/x"])
def test_names_are_checked_before_any_work(name: str) -> None:
    with pytest.raises(InputError, match="--push: expected ORG/NAME"):
        check_repository(name)


def test_the_errors_of_the_real_client_are_among_those(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = pytest.importorskip("huggingface_hub.errors", reason="needs the extra `hf`: huggingface_hub")
    check_repository("me/demo")
    for name in ("HfHubHTTPError", "LocalTokenNotFoundError", "OfflineModeIsEnabled", "HFValidationError"):
        assert issubclass(getattr(errors, name), OSError | ValueError)
    assert hasattr(push._client(), "upload_folder")
