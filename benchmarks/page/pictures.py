"""Pictures of the attention page for the docs: light, dark, and as wide as a telephone.

make pictures
python -m xformer.benchmarks.page.pictures runs/demo --out docs/figures
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from xformer.errors import InputError

from .browser import chromium, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TEXT, TRANSLATION = "Please enter a valid email address.", "Bitte geben Sie eine gültige E-Mail-Adresse ein."


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: of its file, without `.png`.
        theme: light or dark.
        size: of the window, CSS pixels.
        fragment: of the address: the view, the layer, the head.
        sharp: pixels of the picture for each CSS pixel.
    """

    name: str
    theme: Literal["light", "dark"]
    size: tuple[int, int]
    fragment: str = ""
    sharp: float = 1.0


PICTURES = (
    Picture("attention-light", "light", (1200, 800), "head=3&locked=3"),
    Picture("attention-dark", "dark", (1200, 800), "head=3&locked=3&shape=arcs"),
    Picture("attention-narrow", "light", (390, 800), "head=3&locked=3", sharp=1.5),
    Picture("attention-pair", "light", (1200, 800), "view=pair"),
)


def take(browser: Browser, page: Path, out: Path, pictures: Sequence[Picture] = PICTURES) -> list[Path]:
    """Take pictures of a page.

    Args:
        browser: from `browser.chromium`.
        page: the HTML file.
        out: folder of the pictures.
        pictures: which.

    Returns:
        The files, PNG.

    Raises:
        InputError: the page had an error, or asked for something.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for one in pictures:
        with visit(
            browser,
            page,
            fragment=one.fragment,
            theme=one.theme,
            size=one.size,
            device_scale_factor=one.sharp,
        ) as opened:
            opened.page.wait_for_selector("#loading", state="detached")
            opened.page.wait_for_timeout(500)
            file = out / f"{one.name}.png"
            opened.page.screenshot(path=file)
            if opened.errors or opened.requests:
                raise InputError(f"{page}#{one.fragment}: {'; '.join(opened.errors + opened.requests)}")
        files.append(file)
    return files


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the page of a run, and take its pictures; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", help="a run, or a Hugging Face folder")
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--pair", default=TRANSLATION)
    parser.add_argument("--only", nargs="+", choices=[one.name for one in PICTURES], help="left out, all")
    parser.add_argument("--prefix", default="", help="put before each file's name")
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        page = Path(folder) / "page.html"
        command = [sys.executable, "-m", "xformer", "inspect", "page", given.run, given.text]
        status = subprocess.run([*command, "--pair", given.pair, "-o", str(page)], check=False).returncode
        if status:
            return status
        wanted = [
            replace(one, name=given.prefix + one.name)
            for one in PICTURES
            if not given.only or one.name in given.only
        ]
        for file in take(browser, page, given.out, wanted):
            sys.stdout.write(f"{file}, {file.stat().st_size / 1000:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
