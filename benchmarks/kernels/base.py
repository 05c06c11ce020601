"""Compare this working tree with another revision, in turns: each round is a process for either side.

Both sides are measured by this tree's bench, so only the measured code differs. Each turn is a process of its
own: no side inherits the other's compiled code, memory or clocks.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from xformer.errors import InputError

from ..tree_process import TreeProcessError, run_in_tree
from .record import Record

# The fewest rounds for which separate intervals are significant: with six, the intervals of two equal sides
# separate in one of 462 comparisons.
FEWEST_ROUNDS = 6

# Files that the bench needs of the kernels beside the operations themselves. A revision that lacks one gets
# this tree's.
NEEDED = ("kernels/testing.py", "kernels/attention/relative_position.py")

Progress = Callable[[str, int, int | None], None]


@contextmanager
def worktree(revision: str, repository: Path) -> Iterator[Path]:
    """A revision's files in a temporary folder, with this tree's bench; removed afterwards.

    What the bench needs of the kernels (`NEEDED`) and the revision lacks comes from this tree, too.

    Args:
        revision: a commit, branch or tag.
        repository: the checkout.

    Yields:
        The folder.

    Raises:
        InputError: there is no such revision, or this is no checkout.
    """
    commit = _git(
        repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    if commit is None:
        raise InputError(f"--base: expected a revision of the checkout at {repository}, got {revision!r}")
    parent = Path(tempfile.mkdtemp(prefix="xformer-base-"))
    folder = parent / "tree"
    try:
        if _git(repository, "worktree", "add", "--detach", "--quiet", str(folder), commit) is None:
            raise InputError(f"--base: git could not check out {revision}")
        shutil.rmtree(folder / "benchmarks", ignore_errors=True)
        shutil.copytree(
            repository / "benchmarks",
            folder / "benchmarks",
            ignore=shutil.ignore_patterns("results", "__pycache__"),
        )
        for name in NEEDED:
            if (repository / name).is_file() and not (folder / name).exists():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(repository / name, folder / name)
        yield folder
    finally:
        _git(repository, "worktree", "remove", "--force", str(folder))
        shutil.rmtree(parent, ignore_errors=True)
        _git(repository, "worktree", "prune")


def interleave(
    before: Path, after: Path, command: Sequence[str], rounds: int, progress: Progress | None = None
) -> tuple[list[list[Record]], list[list[Record]]]:
    """Run a bench command on both trees in turns, every other round in the other order.

    Args:
        before: root of one tree.
        after: root of the other.
        command: arguments of `python`; it prints records, one per line, on standard output.
        rounds: number of turns of each.
        progress: called with what is going on.

    Returns:
        The records of each round, of `before` and of `after`.

    Raises:
        InputError: `rounds` is too small.
        RuntimeError: a process failed; the message has the end of its error output.
    """
    if rounds < FEWEST_ROUNDS:
        raise InputError(
            f"--rounds: expected at least {FEWEST_ROUNDS}, or there is no 95% interval, got {rounds}"
        )
    found: tuple[list[list[Record]], list[list[Record]]] = ([], [])
    for number in range(rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            if progress is not None:
                progress("rounds", len(found[0]) + len(found[1]), 2 * rounds)
            found[side].append(_turn((before, after)[side], command))
    if progress is not None:
        progress("rounds", 2 * rounds, 2 * rounds)
    return found


@contextmanager
def tree_of(base: str, here: Path) -> Iterator[Path]:
    """The files of `--base`: a folder that holds them, or a revision of the checkout as `worktree` gives it.

    Args:
        base: the folder or the revision.
        here: root of this tree.

    Raises:
        InputError: as `worktree`.
    """
    if (Path(base) / "xformer").is_dir():
        yield Path(base).resolve()
        return
    with worktree(base, repository_of(here)) as folder:
        yield folder.resolve()


def repository_of(start: Path) -> Path:
    """The root of the checkout that a file or folder is in.

    Raises:
        InputError: it is in none.
    """
    found = _git(start if start.is_dir() else start.parent, "rev-parse", "--show-toplevel")
    if found is None:
        raise InputError(f"--base: expected a git checkout, and {start} is in none")
    return Path(found)


def _turn(root: Path, command: Sequence[str]) -> list[Record]:
    """Run one process on one tree."""
    shown = f"{root}: {' '.join(command)}"
    try:
        out = run_in_tree(root, command)
        return [Record.from_json(line) for line in out.splitlines() if line.startswith("{")]
    except TreeProcessError as error:
        raise RuntimeError(f"{shown} failed:\n{error}") from error
    except ValueError as error:
        raise RuntimeError(f"{shown} printed no record: {error}") from error


def _git(folder: Path, *arguments: str) -> str | None:
    """The output of git, or None if it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=120
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
