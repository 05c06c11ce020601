"""Make the run in this folder with xformer 0.1.0, of which it is a record.

    git worktree add ../xformer-0.1 d83179d       # the last commit before the modules moved
    cd ../xformer-0.1 && make lint                # makes its .venv
    OMP_NUM_THREADS=1 .venv/bin/python PATH/TO/make.py PATH/TO/EMPTY/FOLDER

It writes three things:

- `run/`: a run of 40 steps that was stopped at step 22, with the settings and files as 0.1.0 names them:
  corpus, tokenizer, shards, checkpoints of steps 6 (before the blocks join) and 22, metrics, evaluation.
- `end/`: the checkpoint of step 40, to which 0.1.0 brought the same run.
- `made.json`: with what it was made, the control of this machine, and what it came to:
  losses, evaluation, number of parameters.

Everything random follows from seeds, so a second call gives the same weights on the same kind of machine.
"""

from __future__ import annotations

import io
import json
import shutil
import signal
import sys
from dataclasses import replace
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

COMMIT = "d83179d"
BAG_CHECKPOINT, STOP, END = 6, 22, 40

WORDS = {
    "en": (
        "the baker|a sailor|our aunt|the young judge|every farmer",
        "mends|borrows|hides|washes",
        "a lantern|the long rope|two kettles|the garden gate|some wool",
    ),
    "es": (
        "el panadero|un marinero|nuestra tía|la joven jueza|cada granjero",
        "arregla|toma prestado|esconde|lava",
        "un farol|la cuerda larga|dos teteras|la puerta del jardín|algo de lana",
    ),
    "uk": (
        "пекар|моряк|наша тітка|молода суддя|кожен фермер",
        "лагодить|позичає|ховає|миє",
        "ліхтар|довгу мотузку|два чайники|садову хвіртку|трохи вовни",
    ),
    "ja": (
        "パン屋は|船乗りは|私たちのおばは|若い裁判官は|どの農夫も",
        "直す|借りる|隠す|洗う",
        "ランタンを|長い縄を|二つのやかんを|庭の門を|羊毛を",
    ),
}
"""Who does what with which thing, by language; alternatives are separated by |."""


def sentences() -> list[Any]:
    """100 sentences in each language; in Japanese the verb comes last, and every second is missing."""
    record = import_module("xformer.data.record").Record
    made = []
    for language, parts in WORDS.items():
        for number, (who, does, what) in enumerate(product(*(part.split("|") for part in parts))):
            if language == "ja" and number % 2:
                continue
            text = f"{who}{what}{does}。" if language == "ja" else f"{who} {does} {what}."
            made.append(record(text, language, f"sentence {number}", "xformer's tests"))
    return made


def make_corpus(folder: Path) -> None:
    """Import the sentences, 10 held out for each of development and testing."""
    imported = import_module("xformer.data.corpus")
    sizes = import_module("xformer.data.split").SplitSizes(dev=10, test=10, min_languages=4)
    # Sentences that differ in one word are near duplicates to the importer, and are wanted here.
    options = import_module("xformer.data.plan").ImportOptions(sizes, near_threshold=1.0)
    source = import_module("xformer.data.manifest").Source("xformer's tests", "Apache-2.0")
    imported.import_corpus(sentences(), folder, options, [source])


def settings() -> Any:
    """All objectives, dropout, a sampled softmax, masked words, windowed attention, bigrams."""
    configs = import_module("xformer.run_config")
    model = import_module("xformer.config").ModelConfig
    tokenizer = import_module("xformer.tokenizer").TokenizerOptions
    return configs.RunConfig(
        model=model(
            vocab_size=400,
            d_model=16,
            n_layers=3,
            n_heads=2,
            d_ff=16,
            max_length=64,
            bigrams=1,
            window=8,
            global_every=2,
            dropout=0.1,
            attention_dropout=0.1,
        ),
        tokenizer=tokenizer(vocabulary_size=400, threads=1),
        data=configs.DataConfig(max_length=40, max_repeats=4.0),
        objectives=configs.ObjectivesConfig(
            masking=configs.MaskingConfig(unit="word", replacement="80-10-10"),
            masked_lm_tokens=128,
            masked_lm_candidates=64,
            translation_lm_tokens=128,
            alignment_tokens=192,
            bag_tokens=256,
            pooling="weighted",
        ),
        training=configs.TrainingConfig(
            budget=None,
            steps=END,
            bag_share=0.25,
            precision="fp32",
            checkpoint_every=1e6,
            keep=4,
            log_steps=4,
            spike_factor=4.0,
            trackers=(),
        ),
    )


def quiet() -> Any:
    """Progress that nobody sees."""
    return import_module("xformer.progress").Progress(Console(file=io.StringIO(), width=200))


def watching(run: Any, config: Any, progress: Any) -> Any:
    """Takes a panel at each stop, then interrupts training."""
    often = replace(config, training=replace(config.training, panel_every=1e-9))
    panel = import_module("xformer.evaluation.panel").watch(run, often, progress)

    def watch(model: Any, state: Any) -> None:
        if state.step in (BAG_CHECKPOINT, STOP):
            panel(model, state)
            signal.raise_signal(signal.SIGTERM)

    return watch


def main(folder: Path) -> None:
    """Make all of it in `folder`."""
    pretrain = import_module("xformer.training.pretrain")
    directory = import_module("xformer.training.run_directory").RunDirectory
    read_metrics = import_module("xformer.training.metrics").read_metrics
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    run, config = directory(folder / "run"), settings()
    make_corpus(run.corpus)
    # A run that exists has settings; without them its folder would not be taken for one.
    import_module("xformer.toml_config").save_toml(run.config, config)
    for stop in (BAG_CHECKPOINT, STOP):
        if pretrain.pretrain(run.path, config, quiet(), watching=watching):
            raise RuntimeError(f"expected to be stopped at step {stop}")
    evaluation = import_module("xformer.evaluation.run").evaluate_run(run.path, quiet(), bag_seconds=0.5)
    forecast = import_module("xformer.training.dry_run").forecast(run, config, quiet(), seconds=0.2)
    for made in (run.retrieval_plot, run.loss_plot, run.lock):
        made.unlink(missing_ok=True)
    whole = directory(folder / "whole")
    shutil.copytree(run.path, whole.path)
    if not pretrain.pretrain(whole.path, config, quiet()):
        raise RuntimeError("expected the run to be complete")
    last = import_module("xformer.training.checkpoint").newest_checkpoint(whole.checkpoints)
    shutil.copytree(last.path, folder / "end")
    found = {
        "commit": COMMIT,
        "torch": torch.__version__,
        "control": import_module("control").control(),  # lies beside this file
        "losses": {str(line["step"]): line["loss"] for line in read_metrics(whole.metrics)},
        "top1": evaluation.retrieval.mean_top1,
        "bits_per_byte": evaluation.mlm.mean_bits_per_byte,
        "parameters": forecast.parameters,
    }
    (folder / "made.json").write_text(
        json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    shutil.rmtree(whole.path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
