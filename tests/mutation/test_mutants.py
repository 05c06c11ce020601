"""Every mutant can be applied, and the runner tells a caught mutant from one that survived.

`make mutants` runs all of them; here a few cheap ones run.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.mutation.mutant import Group, Mutant, MutantError
from tests.mutation.run import GROUPS, run_groups, run_mutant

EVERY = [(group, mutant) for group in GROUPS for mutant in group.mutants]
GLU = "kernels/glu/triton.py"
QUICK = ("tests/kernels/test_mutation_guards.py::test_every_activation_and_its_derivative[silu]",)


def test_every_kernel_is_broken_in_ten_ways() -> None:
    assert {group.kernel: len(group.mutants) for group in GROUPS if len(group.mutants) < 10} == {}
    assert [name for name, count in Counter(group.kernel for group in GROUPS).items() if count > 1] == []


@pytest.mark.parametrize(("group", "mutant"), EVERY, ids=[f"{g.kernel}-{m.why}" for g, m in EVERY])
def test_applies(group: Group, mutant: Mutant, repository: Path) -> None:
    mutant.check(repository)


@pytest.mark.parametrize("group", GROUPS, ids=[group.kernel for group in GROUPS])
def test_its_tests_are_there(group: Group, repository: Path) -> None:
    for test in group.tests:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}" in (repository / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a = 2\n", "found it 0 times"),
        ("a = 1\nb = 1\na = 1\n", "found it 2 times"),
        ("(a = 1\n", "not Python"),
    ],
)
def test_refuses_what_it_cannot_change(source: str, message: str) -> None:
    with pytest.raises(MutantError, match=message):
        Mutant("file.py", "a = 1", "a = 3", "another number").apply(source)


def test_refuses_what_means_the_same() -> None:
    with pytest.raises(MutantError, match="means the same"):
        Mutant("file.py", "# one", "# two", "another comment").apply("a = 1  # one\n")


@pytest.fixture
def _importable(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under `python -m tests.mutation.run`: the runner's processes import the runner."""
    monkeypatch.syspath_prepend(str(repository))


@pytest.mark.slow
@pytest.mark.usefixtures("_importable")
def test_one_is_caught_and_a_harmless_one_survives() -> None:
    broken = Mutant(GLU, "share = tl.sigmoid(a)\n", "share = tl.sigmoid(-a)\n", "another activation")
    harmless = Mutant(GLU, "WARPS = 4", "WARPS = 8", "nothing that the interpreter sees")
    healthy, *results = run_groups([Group("glu", QUICK, (broken, harmless))], jobs=1, timeout=300)
    assert healthy.outcome == "survived"
    assert [result.outcome for result in results] == ["caught", "survived"]
    assert "test_every_activation_and_its_derivative" in results[0].by
    assert [result.is_bad for result in results] == [False, True]


@pytest.mark.slow
@pytest.mark.usefixtures("_importable")
def test_tests_that_cannot_run_prove_nothing() -> None:
    crude = Mutant(GLU, "WARPS = 4", "WARPS = 4 // 0", "cannot be imported")
    assert run_mutant("glu", ("tests/kernels/no_such_file.py",), crude, 300).outcome == "error"
