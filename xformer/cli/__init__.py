"""The command line: subcommands only. Nothing heavy is imported before a command runs; `--help` is quick."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Annotated, Any, TextIO, cast

import tyro

from xformer.cli.bench.command import Bench
from xformer.cli.data import Data
from xformer.cli.demo import Demo
from xformer.cli.evaluate import Evaluate
from xformer.cli.pretrain import Pretrain
from xformer.cli.report import Report
from xformer.cli.tokenizer import TokenizerCommand
from xformer.cli.verify_resume import VerifyResume
from xformer.errors import InputError
from xformer.storage.files import naming

_SIGPIPE = 128 + 13

_DESCRIPTION = """Understand, measure and train small multilingual Transformers.

`xformer COMMAND --help` says more about each command. Exit status: 0 done, 1 failed, 2 input, or a place to
write to, that cannot be used, 3 nothing differs but less was tried than asked for (verify-resume), 130
interrupted, 141 nobody read on (what was trained is saved, in both cases).
"""

_RENAMED = {"--again": "--force"}

_MACHINE = {"EDQUOT", "EFBIG", "EIO", "EMFILE", "ENOSPC", "ESTALE"}
_MACHINE |= {"EACCES", "EEXIST", "EISDIR", "ENAMETOOLONG", "ENOTDIR", "EPERM", "EROFS"}
"""What a full disk, a closed folder or a path that was given may lead to. Another error of the system is a
mistake of the program's, and where that is must be seen."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, run the command, and exit with its status."""
    command = tyro.cli(
        Annotated[Demo, tyro.conf.subcommand("demo")]
        | Annotated[Pretrain, tyro.conf.subcommand("pretrain")]
        | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[Report, tyro.conf.subcommand("report")]
        | Annotated[VerifyResume, tyro.conf.subcommand("verify-resume")]
        | Annotated[Data, tyro.conf.subcommand("data")]
        | Annotated[TokenizerCommand, tyro.conf.subcommand("tokenizer")]
        | Annotated[Bench, tyro.conf.subcommand("bench")],
        prog="xformer",
        description=_DESCRIPTION,
        args=_renamed(sys.argv[1:] if arguments is None else arguments),
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    try:
        with _warnings_for_people(), _standard_output():
            status = command.run_command()
    except InputError as error:
        status = _say(str(error), 2)
    except BrokenPipeError:  # whoever reads has had enough (`| head`)
        status = _SIGPIPE
    except OSError as error:
        if (said := _of_the_machine(error)) is None:
            raise
        status = _say(said, 2)
    except SystemExit as exit:
        # A console of `rich` ends the process itself where a pipe breaks.
        if not isinstance(exit.__context__, BrokenPipeError):
            raise
        status = _SIGPIPE
    except KeyboardInterrupt:
        status = _say("interrupted", 130)
    for stream in (sys.stdout, sys.stderr):
        if not _takes(stream):
            # Nor can Python write what is left when it ends, which would be another status.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


def _renamed(arguments: Sequence[str]) -> list[str]:
    """The arguments, with options of older versions under their new names."""
    for old, new in _RENAMED.items():
        if old in arguments:
            _say(f"{old} is now called {new}", 0)
    return [_RENAMED.get(argument, argument) for argument in arguments]


def _say(message: str, status: int) -> int:
    with suppress(OSError):
        print(f"xformer: {message}", file=sys.stderr)
    return status


def _of_the_machine(error: OSError) -> str | None:
    """What to say of a full disk or a closed folder; None for what looks like a mistake in the program."""
    name = error.filename if error.filename2 is None else error.filename2
    if name is None and error.errno == errno.ENOENT:
        # `tempfile`, which torch asks, tries a few folders, and says so: all are on the disk that is full.
        return error.strerror
    if name is None or errno.errorcode.get(error.errno or 0) not in _MACHINE:
        return None
    return f"{os.fsdecode(name) if isinstance(name, bytes) else name}: {error.strerror}"


def _takes(stream: TextIO | None) -> bool:
    """Whether a stream takes what was written to it; one that was closed before the start takes all."""
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        return False
    return True


@contextmanager
def _standard_output() -> Iterator[None]:
    """Standard output that is named where it cannot be written: what the system raises names nothing."""
    stream = sys.stdout
    if stream is None:  # it was closed before the start
        yield
        return
    with redirect_stdout(cast(TextIO, _Named(stream))):
        yield
        sys.stdout.flush()


class _Named:
    """A stream whose errors name it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with naming("standard output"):
            return self._stream.write(text)

    def flush(self) -> None:
        with naming("standard output"):
            self._stream.flush()


@contextmanager
def _warnings_for_people() -> Iterator[None]:
    """What this package warns of is said like its errors, without the line of code that noticed it."""
    usual, ours = warnings.formatwarning, Path(__file__).parents[1]

    def worded(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
    ) -> str:
        if category is UserWarning and Path(filename).is_relative_to(ours):
            return f"xformer: {message}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = worded
    try:
        yield
    finally:
        warnings.formatwarning = usual
