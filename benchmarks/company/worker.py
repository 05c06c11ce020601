"""One measurement in a process of its own: `python -P WORKER WORK RUN SECONDS`, with the code of a revision
on `PYTHONPATH`. It prints one JSON object.

It runs with the modules of any revision from d83179d on, so it names those that have moved since.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

ENCODED_TOKENS = 30_000
EVALUATED_BATCHES = 3


def _moved(name: str, *modules: str) -> Any:
    """A name from the first of these modules that exists."""
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(f"{name}: expected in one of {', '.join(modules)}")


def train(run: Path, seconds: float) -> dict[str, Any]:
    """Tokens per second of the last two thirds of `xformer pretrain` in the stage with blocks."""
    kind = _moved("RunConfig", "xformer.runs.config", "xformer.run_config")
    new = hasattr(kind().objectives, "embedding_warmup_share")
    share = "objectives.embedding_warmup_share=0" if new else "training.bag_share=0"
    with tempfile.TemporaryDirectory() as folder:
        # A run that is prepared with the default settings, as `run` is.
        settings = Path(folder) / "settings.toml"
        settings.write_text("", encoding="utf-8")
        place = Path(folder) / "run"
        command = [sys.executable, "-P", "-m", "xformer", "pretrain", str(place), "--config", str(settings)]
        command += ["--budget", f"{seconds:g}s", "--set", share, "training.panel_every=0"]
        command += ["training.log_every=0", "training.trackers=[]", "training.checkpoint_every=1e6"]
        save = _moved("save_toml", "xformer.storage.toml", "xformer.toml_config")
        place.mkdir()
        save(place / "config.toml", kind())
        for name in ("manifest.json", "tokenizer.model", "corpus", "shards"):
            source, target = run / name, place / name
            if source.is_dir():
                shutil.copytree(source, target)
            elif source.is_file():
                shutil.copy2(source, target)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)
        text = (place / "metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    begin = next((line for line in lines if line["elapsed"] >= seconds / 3), lines[0])
    took = lines[-1]["elapsed"] - begin["elapsed"]
    rate = (lines[-1]["tokens"] - begin["tokens"]) / took if took else lines[-1]["tokens_per_s"]
    return {"per_s": rate, "steps": lines[-1]["step"], "threads": lines[-1].get("threads")}


def _exists(module: str) -> bool:
    """Whether a revision has a module. One whose package is missing, too, it does not have."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _opened(run: Path) -> tuple[Any, Any, Any]:
    """A new model, whose speed is that of a trained one; the run's tokenizer; and its test split."""
    config = _moved("RunConfig", "xformer.runs.config", "xformer.run_config")()
    model = _moved("MultilingualModel", "xformer.model.multilingual", "xformer.model")
    place = _moved("RunDirectory", "xformer.runs.directory", "xformer.training.run_directory")(run)
    open_shards = _moved("open_shards", "xformer.pretraining.prepare", "xformer.training.prepare")
    tokenizer = _moved("Tokenizer", "xformer.tokenizer").load(place.tokenizer)
    sized = replace(config.model, vocab_size=tokenizer.vocab_size)
    return model(sized).eval(), tokenizer, open_shards(place, "test", tokenizer)


def _encoder() -> Any:
    """The function that encodes sequences of token ids."""
    if not _exists("xformer.embedding"):
        return _moved("encode_texts", "xformer.evaluation.encode")
    return _moved("encode_tokens", "xformer.embedding.encode")


def encode(run: Path, seconds: float) -> dict[str, Any]:
    """Tokens per second of `encode_tokens` over texts of the test split."""
    import numpy as np

    encode_all = _encoder()
    model, _, shards = _opened(run)
    few = np.random.default_rng(0).permutation(len(shards))
    few = few[np.cumsum(shards.n_tokens[few].astype(np.int64)) <= ENCODED_TOKENS]
    texts = shards.take(few)
    return _repeated(lambda: encode_all(model, texts), int(shards.n_tokens[few].sum()), seconds)


def evaluate(run: Path, seconds: float) -> dict[str, Any]:
    """Tokens per second of what `xformer evaluate` computes: vectors after each number of blocks, and bits of
    the hidden tokens of some batches.
    """
    import numpy as np

    bits = importlib.import_module("xformer.evaluation.bits_per_byte")
    encode_all = _encoder()
    model, tokenizer, shards = _opened(run)
    hidden = bits.HiddenTokens(shards, 0.15, 0, 8_192)
    batches = list(islice(hidden.batches(), EVALUATED_BATCHES))

    class Few:
        """Some batches of the hidden tokens."""

        def __init__(self) -> None:
            self.shards = shards

        def batches(self) -> Iterator[Any]:
            return iter(batches)

    few = np.random.default_rng(0).permutation(len(shards))
    few = few[np.cumsum(shards.n_tokens[few].astype(np.int64)) <= ENCODED_TOKENS // 2]
    texts, lengths = shards.take(few), tokenizer.byte_lengths()
    depth = model.config.n_layers
    here = _exists("xformer.embedding.worker_threads")
    more = {"threads": _moved("encoding_threads", "xformer.embedding.worker_threads")("cpu")} if here else {}

    def once() -> None:
        for layers in range(depth + 1):
            encode_all(model, texts, n_layers=layers)
        bits.bits_per_byte(bits.model_surprisal(model), Few(), lengths, **more)

    tokens = (depth + 1) * int(shards.n_tokens[few].sum()) + sum(one.inputs.n_tokens for one in batches)
    return _repeated(once, tokens, seconds)


def _repeated(once: Callable[[], object], tokens: int, seconds: float) -> dict[str, Any]:
    """Tokens per second of something that is repeated, after one time that is not counted."""
    once()
    done, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds or not done:
        once()
        done += 1
    return {"per_s": done * tokens / took, "times": done}


def main(arguments: list[str]) -> int:
    """Measure and print."""
    work, run, seconds = arguments
    # The finder of an editable install would add this tree's modules to those of another revision.
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if not getattr(finder, "__module__", "").startswith("__editable__")
    ]
    try:  # as the command line of a revision that has it
        from xformer.threads import set_wait_policy
    except ModuleNotFoundError:
        pass
    else:
        set_wait_policy()
    known = {"train": train, "encode": encode, "evaluate": evaluate}
    sys.stdout.write(json.dumps(known[work](Path(run), float(seconds))) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
