"""SentencePiece's training in a process of its own.

It takes minutes and says how far it is on its error output alone, which a process has only one of. Apart, its
lines can be read, and Ctrl-C ends it at once. This file is also the program of that process: its first line
of input has the settings, each line after it is a sentence, and its output is the model.
"""

from __future__ import annotations

import json
import math
import queue
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import IO, Any

Report = Callable[[str, int, int | None], None]

_FAILED = b"FAILED "

# As the releases from 0.2.0 on write them.
_SEEDS = re.compile(rb"Initialized (\d+) seed")
_ROUND = re.compile(rb"EM sub_iter=\d+ size=(\d+)")
_MERGE = re.compile(rb"(?:merges|size)=(\d+) (?:all|piece)=?")

# A unigram model starts from seeds. It is fitted in two rounds, and a quarter of its pieces go, until 1.1
# times as many as wanted are left.
_ROUNDS, _KEPT, _MORE = 2, 0.75, 1.1


def train_apart(sentences: Iterable[str], settings: dict[str, Any], report: Report) -> bytes:
    """Train in another process, which ends with this call, however that ends.

    Args:
        sentences: lines of text.
        settings: keyword arguments of `SentencePieceTrainer.train`, but for its input and output.
        report: called with ("finding seed pieces", pieces, pieces) and ("training vocabulary", rounds done,
            about how many rounds in all); of byte-pair encoding, with merges for rounds.

    Returns:
        The model.

    Raises:
        RuntimeError: SentencePiece failed; its message.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    into, out, errors = process.stdin, process.stdout, process.stderr
    assert into is not None
    assert out is not None
    assert errors is not None
    model: list[bytes] = []
    lines = queue.SimpleQueue[bytes | None]()
    readers = [
        threading.Thread(target=lambda: model.append(out.read()), daemon=True),
        threading.Thread(target=_read, args=(errors, lines), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        with suppress(BrokenPipeError):  # it has ended; its error output says why
            _write(into, settings, sentences)
        said = _follow(iter(lines.get, None), Rounds(settings["vocab_size"]), report)
        if process.wait():
            raise RuntimeError(said)
        readers[0].join()
    finally:
        process.kill()
        process.wait()
        for reader in readers:
            reader.join()
        out.close()
        errors.close()
    return model[0]


class Rounds:
    """How far a training is, from the lines that SentencePiece writes about it.

    Args:
        pieces: the size of the vocabulary.
    """

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        self._done = 0

    def read(self, line: bytes) -> tuple[str, int, int] | None:
        """What to report after a line: the stage, what is done, and of how much; None for other lines."""
        if found := _SEEDS.search(line):
            return "finding seed pieces", int(found[1]), int(found[1])
        if found := _ROUND.search(line):
            self._done += 1
            left = math.log(max(int(found[1]) / (_MORE * self._pieces), 1)) / -math.log(_KEPT)
            in_this = -self._done % _ROUNDS
            return "training vocabulary", self._done, self._done + in_this + _ROUNDS * math.ceil(left)
        if found := _MERGE.search(line):
            return "training vocabulary", int(found[1]), max(self._pieces, int(found[1]))
        return None


def _write(into: IO[bytes], settings: dict[str, Any], sentences: Iterable[str]) -> None:
    with into:
        into.write(json.dumps(settings).encode() + b"\n")
        for sentence in sentences:
            into.write(sentence.encode() + b"\n")


def _read(errors: IO[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    for line in errors:
        lines.put(line)
    lines.put(None)


def _follow(lines: Iterator[bytes], rounds: Rounds, report: Report) -> str:
    """Report what the lines say until they end; the reason for a failure, or else the last lines."""
    last = deque[bytes](maxlen=5)
    for line in lines:
        last.append(line)
        if told := rounds.read(line):
            report(*told)
    if last and last[-1].startswith(_FAILED):
        return str(json.loads(last[-1].removeprefix(_FAILED)))
    return b"".join(last).decode(errors="replace")


def _main() -> None:
    from io import BytesIO

    from sentencepiece import SentencePieceTrainer

    settings = json.loads(sys.stdin.buffer.readline())
    model = BytesIO()
    sentences = (line.removesuffix(b"\n").decode() for line in sys.stdin.buffer)
    try:
        SentencePieceTrainer.train(sentence_iterator=sentences, model_writer=model, minloglevel=0, **settings)
    except (RuntimeError, ValueError, OSError) as error:
        sys.stderr.buffer.write(_FAILED + json.dumps(str(error)).encode() + b"\n")
        sys.exit(1)
    sys.stdout.buffer.write(model.getvalue())


if __name__ == "__main__":
    _main()
