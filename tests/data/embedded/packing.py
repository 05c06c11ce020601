"""Small packages of registries, made by tests."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping

from xformer.data.embedded.packages import Package, Registry

Files = Mapping[str, str | bytes]


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def wheel(files: Files) -> bytes:
    """A zip with these files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), _bytes(content))
    return stream.getvalue()


def tar(files: Files, mode: str = "w:gz") -> bytes:
    """A tar archive with these files, each in its folders."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(_bytes(content))
            archive.addfile(entry, io.BytesIO(_bytes(content)))
    return stream.getvalue()


def deb(files: Files, data: str = "data.tar.xz", mode: str = "w:xz") -> bytes:
    """A Debian package: an ar archive of a version, the control files and the data files."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": tar({"./control": "Package: made\n "}, "w:xz"),
        data: tar({f"./{name}": content for name, content in files.items()}, mode),
    }
    made = b"!<arch>\n"
    for name, content in members.items():
        made += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        made += content + b"\n" * (len(content) % 2)
    return made


def package(registry: Registry, name: str, content: bytes, licence: str = "MIT") -> Package:
    """The record of a package of version 1.0 with this content."""
    filename = {
        "pypi": f"{name}-1.0-py3-none-any.whl",
        "npm": f"{name}-1.0.tgz",
        "debian": f"{name}_1.0_all.deb",
    }[registry]
    return Package(registry, name, "1.0", filename, hashlib.sha256(content).hexdigest(), licence)
