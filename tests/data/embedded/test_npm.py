"""Without npm, its packages come over HTTP from the registry that the settings name."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.data.embedded.packing import package
from xformer.data.embedded import npm
from xformer.data.embedded.tools import Missing, ToolError

PACKAGE = package("npm", "texts", b"a package")


class Registry(BaseHTTPRequestHandler):
    """Answers as a registry does; `broken` names what it doesn't answer well."""

    broken: ClassVar[str] = ""
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        Registry.asked.append(self.path)
        if self.path in ("/npm/texts/1.0", "/npm/@of%2Fsome/1.0"):
            address = f"http://{self.headers['Host']}/files/texts-1.0.tgz"
            if Registry.broken == "scheme":
                address = "file:///etc/hostname"
            body = json.dumps({} if Registry.broken == "no dist" else {"dist": {"tarball": address}}).encode()
        elif self.path == "/files/texts-1.0.tgz" and Registry.broken != "404":
            body = b"a package"
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The address of a registry on this machine, which has no npm."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Registry, "broken", "")
    monkeypatch.setattr(Registry, "asked", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/npm"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("where", ["environment", "npmrc", "npmrc with quotes"])
def test_from_the_registry_of_the_settings(
    where: str, registry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if where == "environment":
        monkeypatch.setenv("npm_config_registry", f"{registry}/")
    else:
        value = f'"{registry}/"' if where.endswith("quotes") else registry
        (tmp_path / ".npmrc").write_text(f"# mine\n@of:registry=http://127.0.0.1:9/\nregistry = {value}\n")
    npm.download(PACKAGE, tmp_path)
    assert (tmp_path / PACKAGE.filename).read_bytes() == b"a package"
    assert Registry.asked == ["/npm/texts/1.0", "/files/texts-1.0.tgz"]


def test_the_name_of_a_scope_is_one_part_of_the_address(
    registry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("npm_config_registry", registry)
    scoped = npm.Package("npm", "@of/some", "1.0", "of-some-1.0.tgz", PACKAGE.sha256, "MIT")
    npm.download(scoped, tmp_path)
    assert (tmp_path / "of-some-1.0.tgz").read_bytes() == b"a package"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("404", "HTTPError: HTTP Error 404"),
        ("no dist", "KeyError"),
        ("scheme", "expected an address of HTTP"),
    ],
)
def test_what_a_registry_may_answer(
    broken: str, said: str, registry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("npm_config_registry", registry)
    monkeypatch.setattr(Registry, "broken", broken)
    with pytest.raises(ToolError, match=f"{registry}/texts/1.0: .*{said}"):
        npm.download(PACKAGE, tmp_path)


def test_a_registry_that_is_gone(registry: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    with pytest.raises(ToolError, match="URLError"):
        npm.download(PACKAGE, tmp_path)


def test_without_npm_and_without_a_setting(registry: str, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="npm is not on this machine, and no setting names a registry"):
        npm.download(PACKAGE, tmp_path)
    (tmp_path / ".npmrc").write_text("registry=\n")
    assert npm.configured_registry() is None
