"""The command line. Nothing large is imported before a command runs, so that `--help` is quick."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO, cast

from xformer.cli.arguments import parse
from xformer.cli.bench.command import Bench
from xformer.cli.classify import Classify
from xformer.cli.completion.command import Completion
from xformer.cli.data_command import Data
from xformer.cli.demo import Demo
from xformer.cli.doctor import Doctor
from xformer.cli.encode import Encode
from xformer.cli.evaluate import Evaluate
from xformer.cli.export.command import Export
from xformer.cli.fill_mask import FillMask
from xformer.cli.finetune.command import Finetune
from xformer.cli.import_model import Import
from xformer.cli.index import IndexCommand
from xformer.cli.inspect.command import Inspect
from xformer.cli.mine import Mine
from xformer.cli.neighbours import Neighbours
from xformer.cli.pretrain import Pretrain
from xformer.cli.report import Report
from xformer.cli.search import Search
from xformer.cli.settings import Settings
from xformer.cli.summarize import Summarize
from xformer.cli.tag import Tag
from xformer.cli.tokenizer import TokenizerCommand
from xformer.cli.translate import Translate
from xformer.cli.verify_resume import VerifyResume
from xformer.ended import Ended, ended_by_signals
from xformer.errors import InputError
from xformer.storage.files import naming
from xformer.threads import set_wait_policy

_SIGPIPE = 128 + 13

_DESCRIPTION = """Understand, measure and train small multilingual Transformers.

`xformer COMMAND --help` describes a command. Exit status: 0 success, 1 failure, 2 unusable input or output
file, 3 no difference found, but fewer stops than asked for (verify-resume), 129 terminal closed, 130
interrupted, 141 output pipe closed, 143 terminated. In the last four cases what was trained is saved, and
nothing half written stays.
"""

_COMMANDS = {
    "demo": Demo,
    "pretrain": Pretrain,
    "evaluate": Evaluate,
    "report": Report,
    "encode": Encode,
    "fill-mask": FillMask,
    "classify": Classify,
    "tag": Tag,
    "summarize": Summarize,
    "translate": Translate,
    "finetune": Finetune,
    "neighbours": Neighbours,
    "index": IndexCommand,
    "search": Search,
    "mine": Mine,
    "import": Import,
    "export": Export,
    "inspect": Inspect,
    "settings": Settings,
    "doctor": Doctor,
    "completion": Completion,
    "verify-resume": VerifyResume,
    "data": Data,
    "tokenizer": TokenizerCommand,
    "bench": Bench,
}

_RENAMED = {"--again": "--force"}

_MACHINE = {"EDQUOT", "EFBIG", "EIO", "EMFILE", "ENOSPC", "ESTALE"}
_MACHINE |= {"EACCES", "EEXIST", "EISDIR", "ENAMETOOLONG", "ENOTDIR", "EPERM", "EROFS"}
"""Errors that a full disk, missing permissions or a wrong path cause. Other errors of the system are mistakes
of the program, and keep their traceback."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, run the command, and exit with its status."""
    given = _renamed(sys.argv[1:] if arguments is None else arguments)
    set_wait_policy()
    try:
        with ended_by_signals(), _plain_warnings(), _named_output():
            command = parse(given, _COMMANDS, _DESCRIPTION)
            of_all = isinstance(command, Completion)
            status = command.print_script(_COMMANDS) if of_all else command.run_command()
    except InputError as error:
        status = _say(str(error), 2)
    except BrokenPipeError:  # the reader has closed the pipe (`| head`)
        status = _SIGPIPE
    except OSError as error:
        if (message := _system_message(error)) is None:
            raise
        status = _say(message, 2)
    except SystemExit as exit:
        # A console of `rich` raises SystemExit when a pipe is closed; tyro does after help or a wrong option.
        status = _SIGPIPE if isinstance(exit.__context__, BrokenPipeError) else exit.code
    except Ended as ended:
        status = _say(str(ended), ended.status)
    except KeyboardInterrupt:
        status = _say("interrupted", 130)
    for stream in (sys.stdout, sys.stderr):
        if not _flushes(stream):
            # Python flushes at its end again, which would fail again and change the status.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


def commands() -> dict[str, Any]:
    """The commands by their names."""
    return dict(_COMMANDS)


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


def _system_message(error: OSError) -> str | None:
    """The message for a full disk or a wrong path; None for an error that is a mistake of the program."""
    name = error.filename if error.filename2 is None else error.filename2
    if name is None and error.errno == errno.ENOENT:
        # From `tempfile`, which torch uses: none of the folders that it tried can be written to.
        return error.strerror
    if name is None or errno.errorcode.get(error.errno or 0) not in _MACHINE:
        return None
    return f"{os.fsdecode(name) if isinstance(name, bytes) else name}: {error.strerror}"


def _flushes(stream: TextIO | None) -> bool:
    """Whether a stream can be flushed; true for a stream that was closed before the program began."""
    try:
        if stream is not None:
            stream.flush()
    except OSError:
        return False
    return True


@contextmanager
def _named_output() -> Iterator[None]:
    """Make errors of writing to standard output name it; those of the system name no file."""
    stream = sys.stdout
    if stream is None:  # closed before the program began
        yield
        return
    with redirect_stdout(cast(TextIO, _Named(stream))):
        try:
            yield
        except SystemExit:  # after help
            sys.stdout.flush()
            raise
        sys.stdout.flush()


class _Named:
    """Standard output, with its name in the errors of writing."""

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
def _plain_warnings() -> Iterator[None]:
    """Print warnings of this package like its errors, without the line of code."""
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
