"""A mutant: one small change to one file that the tests must catch."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path


class MutantError(ValueError):
    """A mutant that cannot be applied: its text is missing or occurs twice, or the change means nothing."""


@dataclass(frozen=True)
class Mutant:
    """One way to break a kernel.

    Attributes:
        file: path relative to the repository.
        old: text that occurs exactly once in the file.
        new: text that replaces it in the mutant.
        why: the mistake that it makes.
    """

    file: str
    old: str
    new: str
    why: str

    def apply(self, source: str) -> str:
        """The source with the mutant applied.

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
        kernel: name of the kernel, for `--kernel`.
        tests: files or tests for pytest, in the order in which they run; quick tests that catch much first.
        mutants: at least ten.
    """

    kernel: str
    tests: tuple[str, ...]
    mutants: tuple[Mutant, ...]
