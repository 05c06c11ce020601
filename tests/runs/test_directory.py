"""What of a run directory is the run's own."""

from __future__ import annotations

from pathlib import Path

from xformer.runs.directory import RunDirectory


def test_only_what_was_half_made_is_cleared_away(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    half = [
        tmp_path / ".config.toml.ab_12345",
        tmp_path / ".metrics.jsonl.zzzzzzzz",
        run.shards("train").parent / f".{run.shards('train').name}.abcdefgh.partial",
        run.checkpoints / ".step-00000003.abc_0123.partial",
        run.checkpoints / ".step-00000002.removed",
    ]
    others = [
        tmp_path / ".config.toml.swp",
        tmp_path / ".config.toml.mine",
        tmp_path / "config.toml.ab_12345",
        run.checkpoints / ".step-00000060.mine",
        run.checkpoints / "step-00000060",
        run.checkpoints / "step-00000060.mine",
    ]
    for path in (*half, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        if "step" in path.name:
            path.mkdir()
        else:
            path.write_text("")
    run.clear_leftovers()
    assert [path.name for path in half if path.exists()] == []
    assert [path.name for path in others if not path.exists()] == []
