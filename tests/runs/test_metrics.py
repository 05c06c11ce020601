"""What is counted between two lines of the log, and the log itself.

Shapes: S items of a loss, L languages.

Covers xformer.runs.loss_plot, too.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from xformer.errors import InputError
from xformer.runs.loss_plot import plot_losses
from xformer.runs.metrics import MetricsLog, read_metrics, without_remnant


def _line(step: int, **more: Any) -> dict[str, Any]:
    line = {"step": step, "elapsed": step / 2, "tokens": 9 * step, "tokens_per_s": 18.0, "stage": "full"}
    return line | {"loss": {"alignment": 2.0 / step}, "languages": {}, **more}


def test_lines_after_the_checkpoint_are_dropped_and_the_rest_stays_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path, 0) as log:
        for step in range(1, 6):
            log.write(_line(step, odd=1e-7, name="ä"))
    written = path.read_bytes().splitlines(keepends=True)
    with MetricsLog(path, 3) as log:
        assert path.read_bytes() == b"".join(written[:3])
        log.write(_line(4, odd=2))
    assert [line["step"] for line in read_metrics(path)] == [1, 2, 3, 4]
    with MetricsLog(path, 0):
        assert read_metrics(path) == []


def test_a_line_is_on_disk_once_it_is_written(tmp_path: Path) -> None:
    with MetricsLog(tmp_path / "metrics.jsonl", 0) as log:
        log.write(_line(1))
        assert read_metrics(tmp_path / "metrics.jsonl") == [_line(1)]


def test_a_last_line_that_was_cut_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    path.write_text(json.dumps(_line(1)) + "\n" + json.dumps(_line(2))[:-3])
    assert read_metrics(path) == [_line(1)]
    path.write_text('{"ste\n' + json.dumps(_line(2)) + "\n")
    with pytest.raises(InputError, match=r"metrics\.jsonl:1: expected a JSON object"):
        read_metrics(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to stand for a full disk")
def test_a_full_disk_is_named_and_what_was_written_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path, 0) as log:
        log.write(_line(1))
        whole, log._file = log._file, open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115 - by `log`
        with pytest.raises(
            InputError, match=r"metrics\.jsonl: cannot be written \(No space left on device\)"
        ):
            log.write(_line(2))
        whole.close()
    assert read_metrics(path) == [_line(1)]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"file/metrics\.jsonl: cannot be written"):
        MetricsLog(tmp_path / "file" / "metrics.jsonl", 0)


@pytest.mark.parametrize(
    ("steps", "stages", "kept"),
    [
        ((100, 200, 224), ("full", "full", "full"), 2),
        ((100, 200, 225), ("full", "full", "full"), 3),
        ((100, 200, 201), ("embedding_warmup", "embedding_warmup", "full"), 3),
        ((100, 101), ("full", "full"), 2),
        ((), (), 0),
    ],
    ids=["less than a quarter", "a quarter", "the first of its stage", "two lines", "none"],
)
def test_what_covers_few_steps_at_the_end_is_not_drawn(
    steps: tuple[int, ...], stages: tuple[str, ...], kept: int
) -> None:
    lines = [_line(step) | {"stage": stage} for step, stage in zip(steps, stages, strict=True)]
    assert without_remnant(lines) == lines[:kept]


def test_curves_are_drawn_of_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    speed = {"tokens_per_s": 1000.0}
    lines = [_line(1, **speed) | {"stage": "embedding_warmup"}, _line(2, **speed), _line(3, **speed)]
    lines[2]["loss"] = {"alignment": 1.0, "masked_lm": 3.0}
    path = tmp_path / "loss.png"
    assert plot_losses(lines, path) == path
    assert path.read_bytes().startswith(b"\x89PNG")
    assert plot_losses([], tmp_path / "none.png") is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert plot_losses(lines, tmp_path / "none.png") is None
    assert [file.name for file in tmp_path.iterdir()] == ["loss.png"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({}, r"metrics\.jsonl:2: expected the field\(s\) step, elapsed, "),
        (_line(2) | {"step": "two"}, r"metrics\.jsonl:2: step: expected a whole number, found 'two'"),
        (_line(2) | {"step": True}, r":2: step: expected a whole number, found True"),
        (_line(2) | {"languages": 5}, r":2: languages: expected numbers by name, by language, found 5"),
        (_line(2) | {"languages": {"de": 0.5}}, r":2: languages: expected numbers by name, by language"),
        (_line(2) | {"languages": {"de": {"asked": "all"}}}, r":2: languages: expected numbers by name, by"),
        (_line(2) | {"loss": {"alignment": None}}, r":2: loss: expected numbers by name, found {'alig"),
        (_line(2) | {"loss": [1.0]}, r":2: loss: expected numbers by name, found \[1"),
        (_line(2) | {"elapsed": "1 s"}, r":2: elapsed: expected a number, found '1 s'"),
        (_line(2) | {"tokens": None}, r":2: tokens: expected a number, found None"),
        (_line(2) | {"tokens_per_s": [1]}, r":2: tokens_per_s: expected a number"),
        (_line(2) | {"stage": 1}, r":2: stage: expected a text, found 1"),
        (_line(2) | {"gradient_norm": "x"}, r":2: gradient_norm: expected a number"),
        (_line(2) | {"hubness": "high"}, r":2: hubness: expected a number or null, found 'high'"),
        (_line(2) | {"top1": {"de": None}}, r":2: top1: expected numbers by name"),
        (_line(2) | {"alignment_by_layer": 0.5}, r":2: alignment_by_layer: expected a list of numbers or"),
        (_line(2) | {"lr_factor": 1}, r":2: lr_factor: expected numbers by name"),
    ],
)
def test_a_line_that_is_none_of_a_log_s_is_named(tmp_path: Path, line: dict[str, Any], said: str) -> None:
    path = tmp_path / "metrics.jsonl"
    text = "".join(json.dumps(one) + "\n" for one in (_line(1), line, _line(3)))
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        MetricsLog(path, 3)
    assert path.read_text(encoding="utf-8") == text


def test_lines_that_were_lost_are_said_until_they_are_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path, 0) as log:
        for step in (1, 2, 3):
            log.write(_line(step))
        assert log.lines == 3
    whole = path.read_bytes()
    with MetricsLog(path, 3, expected=3) as log:
        assert log.lines == 3
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[1:]))
    with pytest.warns(UserWarning, match=r"lost: expected 3 up to step 3, .*, found 2, of steps 2 to 3\."):
        log = MetricsLog(path, 3, expected=3)
    with log:
        log.write(_line(4))
        assert log.lines == 4
    path.unlink()
    with pytest.warns(UserWarning, match=r"lost: expected 4 up to step 4, where the run resumes, found 0\."):
        log = MetricsLog(path, 4, expected=4)
    with log:
        assert log.lines == 4
    path.write_bytes(whole + json.dumps(_line(4)).encode() + b"\n")
    with MetricsLog(path, 4, expected=4) as log:
        assert log.lines == 4
