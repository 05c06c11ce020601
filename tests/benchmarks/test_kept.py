"""Records say what was measured, and are whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from xformer.benchmarks import environment
from xformer.benchmarks.bursts import bench as bursts
from xformer.benchmarks.bursts.command import BurstsBench
from xformer.benchmarks.company import bench as company
from xformer.benchmarks.company.command import CompanyBench
from xformer.benchmarks.kept import begin_record, write_record
from xformer.errors import InputError


def test_a_record_says_what_is_measured(tmp_path: Path) -> None:
    here = begin_record(tmp_path / "new" / "some.json")
    assert set(here) == {"device", "torch", "commit", "dirty", "time"}
    assert not list(tmp_path.iterdir()), "nothing is left of the trial"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is a file; expected a folder"):
        begin_record(tmp_path / "file" / "some.json")


def test_a_record_takes_the_place_of_the_last(tmp_path: Path) -> None:
    for number in range(2):
        write_record(tmp_path / "new" / "some.json", {"number": number})
    assert (tmp_path / "new" / "some.json").read_text(encoding="utf-8") == '{\n  "number": 1\n}\n'


@pytest.mark.parametrize("name", ["bursts", "company"])
def test_the_commit_is_the_one_at_the_start(
    name: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bench may run for an hour, and somebody may commit meanwhile."""
    monkeypatch.setattr(environment, "_commit", lambda: ("before0", False))

    def measure(*places: object, **options: object) -> list[Any]:
        monkeypatch.setattr(environment, "_commit", lambda: ("after00", True))
        return []

    out, base = tmp_path / "record.json", str(repository)
    (tmp_path / "run" / "shards").mkdir(parents=True)
    if name == "bursts":
        monkeypatch.setattr(bursts, "compare", measure)
        BurstsBench(base=base, out=out).run_command()
    else:
        monkeypatch.setattr(company, "measure_all", measure)
        CompanyBench(tmp_path / "run", base=base, out=out).run_command()
    record = json.loads(out.read_text(encoding="utf-8"))
    assert (record["commit"], record["dirty"]) == ("before0", False)
