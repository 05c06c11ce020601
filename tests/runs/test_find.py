"""A run is found, or what is there instead is named, with the command that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xformer.errors import InputError
from xformer.runs.find import find_run


@pytest.mark.parametrize(
    ("files", "asked", "message"),
    [
        ((), "nowhere", "but there is nothing; `xformer pretrain .*nowhere` makes one, and `xformer demo`"),
        (("file",), "file", "but it is a file"),
        (
            ("bert/config.json",),
            "bert",
            "but it is a model of Hugging Face; `xformer import hf .*bert NEW_RUN`",
        ),
        (("corpus/manifest.json",), "corpus", "but it is a corpus; `xformer pretrain RUN --set data.corpus="),
        (
            ("runs/a/config.toml", "runs/b/config.toml"),
            "runs",
            "but it is a folder of runs; .*runs/a, .*runs/b",
        ),
        (
            ("run/config.toml", "run/checkpoints/x"),
            "run/checkpoints",
            "but it is a part of the run .*run;",
        ),
        (("other/file",), "other", "but it has no config.toml"),
    ],
)
def test_what_is_no_run_is_named(tmp_path: Path, files: tuple[str, ...], asked: str, message: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=f"expected a run made by `xformer pretrain`, {message}"):
        find_run(tmp_path / asked)


def test_an_empty_folder_and_no_path_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="but it is empty; `xformer pretrain"):
        find_run(tmp_path)
    no_path: Any = None
    with pytest.raises(InputError, match="path: expected the folder of a run, got None"):
        find_run(no_path)
