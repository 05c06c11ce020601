"""The experiment as a whole. Covers `command`, `texts` and `write`, too."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from xformer.benchmarks.multilinguality.command import MultilingualityBench
from xformer.errors import InputError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (MultilingualityBench(seeds=0), "--seeds"),
        (MultilingualityBench(steps=0), "--steps"),
        (MultilingualityBench(condition=("all",)), "--condition: expected one of 'everything'"),
    ],
)
def test_what_makes_no_sense_is_refused(given: MultilingualityBench, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given.run_command()


def test_the_command_keeps_record_and_figure(
    tmp_path: Path, sentences: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xformer.benchmarks.multilinguality.texts.HELD_OUT", 20)
    (tmp_path / "text").write_text("\n".join(sentences), encoding="utf-8")
    bench = MultilingualityBench(
        seeds=1, steps=1, condition=("nothing",), text=tmp_path / "text", out=tmp_path / "a", figures=tmp_path
    )
    assert bench.run_command() == 0
    record = json.loads((tmp_path / "a").read_text(encoding="utf-8"))
    (run,) = record["runs"]
    assert run["condition"] == "nothing"
    # One step at a learning rate that is all but zero: what is trained is nearly what is not.
    assert run["trained"] != run["untrained"]
    assert run["trained"]["loss"] == pytest.approx(run["untrained"]["loss"], abs=0.5)
    assert record["texts"]["held_out"] == 20
    assert "nothing" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "multilinguality.svg").read_text(encoding="utf-8")
    first = (tmp_path / "multilinguality.svg").read_bytes()
    (tmp_path / "multilinguality.svg").unlink()
    assert replace(bench, redraw=True).run_command() == 0
    assert (tmp_path / "multilinguality.svg").read_bytes() == first
