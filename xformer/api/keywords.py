"""Arguments as other libraries call them: refused, with the name that is meant here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xformer.errors import InputError

_OURS = {
    "batch_size": "batch_tokens=N bounds a pass, in tokens; left out, it suits the device",
    "show_progress_bar": "progress=True shows a bar",
    "normalize_embeddings": "vectors have length 1, unless normalise=False",
    "normalize": "it is spelled normalise",
    "convert_to_tensor": "as_tensor=True gives a torch tensor",
    "convert_to_numpy": "a NumPy array is what is given, unless as_tensor=True",
    "top_k": "it is spelled k",
    "corpus_embeddings": "vectors=… are those of the texts",
    "device": "`xformer.load(…, device=…)` chooses it",
    "precision": "`xformer.load(…, dtype=…)` chooses it",
}
"""What is meant by arguments of sentence-transformers' `encode` and `semantic_search`."""


def refuse(unknown: Mapping[str, object], known: Sequence[str]) -> None:
    """Refuse arguments that a method of a model does not have.

    Args:
        unknown: the arguments, by name.
        known: names of those that it has.

    Raises:
        InputError: there are some; what stands for each is named.
    """
    if not unknown:
        return
    said = [f"{name}: {_OURS[name]}" if name in _OURS else f"{name}: unknown" for name in unknown]
    raise InputError(f"{'; '.join(said)}. Expected {', '.join(known[:-1])} or {known[-1]}")
