"""From when on a setting of a run stays as it is."""

from __future__ import annotations

from typing import Literal

Until = Literal["always", "data", "tokenizer", "checkpoint"]
"""A setting may always change; or until the run has its data, its tokenizer, or a checkpoint."""

UNTIL: dict[str, Until] = {
    "training.budget": "always",
    "training.steps": "always",
    "training.patience": "always",
    "training.sharding": "always",
    "training.checkpoint_every": "always",
    "training.keep_checkpoints": "always",
    "training.log_every": "always",
    "training.log_steps": "always",
    "training.spike_factor": "always",
    "training.non_finite": "always",
    "training.panel_every": "always",
    "training.threads": "always",
    "training.trackers": "always",
    "tokenizer": "tokenizer",
    "data": "data",
    # The data is the same with any of these: they say what is drawn from it.
    "data.alpha": "checkpoint",
    "data.max_repeats": "checkpoint",
    "data.pivot": "checkpoint",
    "data.pivot_share": "checkpoint",
    "data.sources": "checkpoint",
    "data.min_sampled_texts": "checkpoint",
}
"""By full name, or by table for the rest of a table. All others may change until there is a checkpoint."""

IN_WORDS: dict[Until, str] = {
    "always": "at any time",
    "data": "until the run has its data",
    "tokenizer": "until the run has its tokenizer",
    "checkpoint": "until the first checkpoint",
}


def changes_until(name: str) -> Until:
    """Until when a setting may change, by its full name."""
    return UNTIL.get(name) or UNTIL.get(name.partition(".")[0]) or "checkpoint"
