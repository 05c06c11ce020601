"""What a mutant is: one small change to one file, and why a suite that misses it is not worth its time."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path


class MutantError(ValueError):
    """A mutant that no longer says what it meant: its text has changed, or occurs twice."""


@dataclass(frozen=True)
class Mutant:
    """One way to break a kernel.

    Attributes:
        file: relative to the repository.
        old: text that occurs exactly once in it.
        new: what stands there in the mutant.
        why: the mistake, in words.
    """

    file: str
    old: str
    new: str
    why: str

    def apply(self, source: str) -> str:
        """The mutant's source.

        Raises:
            MutantError: the text does not occur exactly once, the result is not Python, or it means the same.
        """
        count = source.count(self.old)
        if count != 1:
            raise MutantError(
                f"{self}: expected its text once in {self.file}, found it {count} times: {self.old!r}"
            )
        changed = source.replace(self.old, self.new)
        try:
            before, after = ast.dump(ast.parse(source)), ast.dump(ast.parse(changed))
        except SyntaxError as error:
            raise MutantError(
                f"{self}: not Python, line {error.lineno} of {self.file}: {error.msg}"
            ) from error
        if before == after:
            raise MutantError(f"{self}: {self.file} means the same with it")
        return changed

    def check(self, repository: Path) -> None:
        """Raise a `MutantError` if it cannot be applied."""
        self.apply((repository / self.file).read_text(encoding="utf-8"))

    def __str__(self) -> str:
        """`kernels/attention/triton/forward.py: scores rescale nothing`."""
        return f"{self.file}: {self.why}"


@dataclass(frozen=True)
class Group:
    """The mutants of one kernel, and the tests that must catch them.

    Attributes:
        kernel: its name, for `--kernel`.
        tests: files or tests for pytest, in the order in which they run; the quick and telling ones first.
        mutants: at least ten.
    """

    kernel: str
    tests: tuple[str, ...]
    mutants: tuple[Mutant, ...]
