"""The names of what a network gives in another runtime."""

from __future__ import annotations

from typing import Literal

Output = Literal["last_hidden_state", "sentence_embedding", "logits", "probabilities"]
