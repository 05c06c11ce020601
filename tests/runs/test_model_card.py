"""The model card: text from outside stays in its cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from xformer.data.manifest import Manifest
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory
from xformer.runs.model_card import write_model_card


def test_names_and_licences_do_not_break_the_table(
    begin: Callable[[RunConfig], RunDirectory], config: RunConfig
) -> None:
    run = begin(config)
    manifest = Manifest.read(run.path)
    odd = replace(manifest.sources[0], name="a|b\nc", licence="<b>free</b> | mine")
    replace(manifest, sources=(odd,)).write(run.path)
    write_model_card(run)
    assert "\n| a\\|b c | &lt;b>free&lt;/b> \\| mine |\n" in run.model_card.read_text(encoding="utf-8")
