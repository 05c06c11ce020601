"""The peers' side: MarianMTModel's `generate`, and CTranslate2. Imports nothing of ours but the turns."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..encode.turns import serve

_END = 2


class HuggingFace:
    """A MarianMTModel."""

    def __init__(self, folder: Path, length: int, threads: int) -> None:
        import torch
        from transformers import MarianMTModel

        torch.set_num_threads(threads)
        self._torch, self._length = torch, length
        self._model: Any = MarianMTModel.from_pretrained(str(folder), local_files_only=True).eval()
        texts = json.loads((folder / "sources.json").read_text(encoding="utf-8"))
        longest, self._pad = max(map(len, texts)), self._model.config.pad_token_id
        self._ids = torch.tensor([[*ids, *[self._pad] * (longest - len(ids))] for ids in texts])

    def generate(self, beam: int) -> list[list[int]]:
        """The best target of each source, without its end."""
        with self._torch.inference_mode():
            rows = self._model.generate(
                self._ids, attention_mask=(self._ids != self._pad).long(), num_beams=beam, do_sample=False,
                max_new_tokens=self._length, length_penalty=1.0, early_stopping=beam > 1,
            ).tolist()  # fmt: skip
        return [_before_end(row[1:], self._pad) for row in rows]


class CTranslate2:
    """A model of CTranslate2, converted from the folder."""

    def __init__(self, folder: Path, compute_type: str, length: int, threads: int) -> None:
        import ctranslate2

        place = folder / "ctranslate2"
        if not (place / "model.bin").is_file():
            self._convert(folder, place)
        self._translator: Any = ctranslate2.Translator(
            str(place), device="cpu", compute_type=compute_type, inter_threads=1, intra_threads=threads
        )
        texts = json.loads((folder / "sources.json").read_text(encoding="utf-8"))
        self._texts = [[_word(id) for id in ids] for ids in texts]
        self._length = length

    def generate(self, beam: int) -> list[list[int]]:
        """The best target of each source, without its end."""
        found = self._translator.translate_batch(
            self._texts, beam_size=beam, max_decoding_length=self._length, length_penalty=1.0,
            max_batch_size=0, min_decoding_length=0,
        )  # fmt: skip
        return [_before_end([_id(word) for word in one.hypotheses[0]], -1) for one in found]

    @staticmethod
    def _convert(folder: Path, place: Path) -> None:
        """Write the model, its vocabulary numbers: the bench has no text."""
        from ctranslate2.converters.transformers import MarianMTLoader
        from transformers import MarianMTModel

        model: Any = MarianMTModel.from_pretrained(str(folder), local_files_only=True)
        loader: Any = MarianMTLoader()
        spec = loader.get_model_spec(model)
        names = {"eos_token": "</s>", "unk_token": "<unk>", "bos_token": "<s>", "pad_token": "<pad>"}
        loader.set_config(spec.config, model, SimpleNamespace(**names))
        words = [_word(id) for id in range(model.config.pad_token_id)]
        spec.register_source_vocabulary(words)
        spec.register_target_vocabulary(words)
        spec.validate()
        place.mkdir()
        spec.save(str(place))


def _word(id: int) -> str:
    return {1: "<unk>", _END: "</s>"}.get(id, f"t{id}")


def _id(word: str) -> int:
    return {"<unk>": 1, "</s>": _END}.get(word) or int(word[1:])


def _before_end(ids: list[int], pad: int) -> list[int]:
    for place, id in enumerate(ids):
        if id in (_END, pad):
            return ids[:place]
    return ids


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    where, settings = Path(job["folder"]), {"length": job["length"], "threads": job["threads"]}
    if job["side"] == "huggingface":
        serve({"generate": HuggingFace(where, **settings).generate})
    else:
        serve({"generate": CTranslate2(where, job["compute_type"], **settings).generate})
