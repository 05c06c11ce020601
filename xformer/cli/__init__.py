"""The command line: subcommands only. Nothing heavy is imported before a command runs; `--help` is quick."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import tyro

from xformer.cli.bench import Bench
from xformer.cli.data import Data
from xformer.cli.demo import Demo
from xformer.cli.evaluate import Evaluate
from xformer.cli.pretrain import Pretrain
from xformer.cli.report import Report
from xformer.cli.tokenizer import TokenizerCommand
from xformer.cli.verify_resume import VerifyResume
from xformer.errors import InputError

_SIGPIPE = 128 + 13

_DESCRIPTION = """Understand, measure and train small multilingual Transformers.

`xformer COMMAND --help` says more about each command. Exit status: 0 done, 1 failed, 2 input that cannot be
used, 130 interrupted (what was done is saved), 141 nobody read on.
"""


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
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    try:
        with _warnings_for_people():
            status = command.run_command()
            sys.stdout.flush()
            sys.exit(status)
    except InputError as error:
        print(f"xformer: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        # Whoever reads has had enough (`| head`); nor can Python write what is left when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_SIGPIPE)
    except KeyboardInterrupt:
        print("xformer: interrupted", file=sys.stderr)
        sys.exit(130)


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
