"""`xformer verify-resume --finetune`, and the run that it interrupts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xformer.finetuning.synthetic import synthetic_examples


def test_every_sentence_has_its_subject_as_label() -> None:
    examples = synthetic_examples()
    assert (len(examples.train), len(examples.dev)) == (240, 60)
    assert {one.language for one in [*examples.train, *examples.dev]} == {"de", "en"}
    assert {label for one in examples.dev for label in one.labels} <= {
        label for one in examples.train for label in one.labels
    }


@pytest.mark.slow
def test_a_run_that_was_killed_and_resumed_is_the_same_in_every_bit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from xformer.cli import main

    with pytest.raises(SystemExit) as exit:
        main(["verify-resume", "--finetune", "--steps", "24", "--kills", "3", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["same"], found
    assert exit.value.code in (0, 3)
    assert len(found["struck"]) >= 2
    assert {row["what"] for row in found["rows"]} >= {"weights", "optimizer", "metrics.jsonl"}


def test_settings_of_pretraining_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from xformer.cli import main

    with pytest.raises(SystemExit) as exit:
        main(["verify-resume", "--finetune", "--config", str(tmp_path / "x.toml")])
    assert exit.value.code == 2
    assert "--config: expected without --finetune" in capsys.readouterr().err
