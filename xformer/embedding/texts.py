"""Sentence vectors of texts: any number of texts of any length, in bounded memory.

Texts are read into a buffer, tokenised, and cut into chunks no longer than what the model was trained on, as
few as possible and equally long. The chunks of a buffer are encoded in batches of similar length. The vector
of a text is the mean of its chunks' pooled vectors, weighted by their tokens: for mean pooling that is the
mean over all tokens of the text.

Shapes: E texts, K chunks, B sequences of a batch, D vector width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from xformer.data.chunks import Chunks
from xformer.data.reporting import ProgressCallback
from xformer.embedding.checked import buffers
from xformer.embedding.encode import evaluation_mode, length_batches
from xformer.embedding.worker_threads import encoding_threads, map_in_threads, tokens_for_each
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack_flat
from xformer.tokenizer.interface import TextTokenizer

Vectors = NDArray[np.float32]

BUFFER_TEXTS = 16_384
"""Most texts that are read ahead. The more, the more alike are the lengths in a batch."""

BUFFER_CHARS = 1 << 22
"""About the most characters that are read ahead."""


@dataclass(frozen=True)
class _Buffer:
    """Some texts, tokenised.

    Attributes:
        ids: their token ids, end to end.
        lengths: (E,) int64, in tokens.
        chunks: of the texts.
        longer: how many texts are longer than the model reads.
    """

    ids: NDArray[np.int32]
    lengths: NDArray[np.int64]
    chunks: Chunks
    longer: int


class EncodedStream(Iterator[Vectors]):
    """Vectors of texts, block by block, in the order of the texts.

    Attributes:
        texts: how many texts the blocks so far hold.
        cut: how many of them were longer than the model reads, and were cut, into chunks or off.
        tokens: how many tokens they have.
    """

    def __init__(self, make: Callable[[EncodedStream], Iterator[Vectors]]) -> None:
        self.texts = self.cut = self.tokens = 0
        self._blocks = make(self)

    def __next__(self) -> Vectors:
        """The next block (b, D), b at least 1."""
        return next(self._blocks)


@dataclass(frozen=True)
class TextEncoder:
    """Encodes texts with a model.

    Attributes:
        model: on `device`, in evaluation mode.
        tokenizer: of the model.
        layer: number of blocks after which vectors are taken.
        max_length: of a chunk, in tokens.
        device: where to compute.
        computing: makes the context in which the model runs.
        threads: of tokenisation; None for one a core.
        cuts: whether what comes after `max_length` tokens of a text is left out, instead of being a chunk.
        prompt: stands in front of each text.
    """

    model: MultilingualModel
    tokenizer: TextTokenizer
    layer: int
    max_length: int
    device: torch.device
    computing: Callable[[], AbstractContextManager[object]]
    threads: int | None = None
    cuts: bool = False
    prompt: str = ""

    def stream(
        self,
        texts: Iterable[str],
        *,
        normalise: bool = True,
        batch_tokens: int | None = None,
        progress: ProgressCallback | None = None,
    ) -> EncodedStream:
        """Vectors of texts, block by block.

        Args:
            texts: from `checked.as_texts`.
            normalise: scale each vector to unit length.
            batch_tokens: most tokens that are encoded at a time; bounds the memory. None for what is
                fast on the device.
            progress: called with ("encode", texts done, texts in all or None).
        """

        def blocks(stream: EncodedStream) -> Iterator[Vectors]:
            total = len(texts) if isinstance(texts, Sized) else None
            for buffer in self._read(texts):
                n_texts = len(buffer.lengths)

                def tell(share: float, before: int = stream.texts, n_texts: int = n_texts) -> None:
                    if progress:
                        progress("encode", before + int(share * n_texts), total)

                vectors = self._encode(buffer, batch_tokens, tell)
                if normalise:
                    vectors = F.normalize(vectors, dim=-1)
                stream.texts += n_texts
                stream.cut += buffer.longer
                stream.tokens += int(buffer.lengths.sum())
                yield vectors.numpy()

        return EncodedStream(blocks)

    def _read(self, texts: Iterable[str]) -> Iterator[_Buffer]:
        """The texts, tokenised. For a GPU the next buffer is tokenised while it computes.

        On a CPU the model's threads use all cores, and tokenising takes a few hundredths of their time.
        """
        lists = buffers(texts, BUFFER_TEXTS, BUFFER_CHARS)
        if self.device.type == "cpu":
            yield from map(self._tokenise, lists)
            return
        with ThreadPoolExecutor(1, "xformer tokenise") as executor:
            waiting: Future[_Buffer] | None = None
            for found in lists:  # the caller's iterator is read in the caller's thread
                following = executor.submit(self._tokenise, found)
                if waiting is not None:
                    yield waiting.result()
                waiting = following
            if waiting is not None:
                yield waiting.result()

    def _tokenise(self, texts: Sequence[str]) -> _Buffer:
        if self.prompt:
            texts = [self.prompt + text for text in texts]
        rows, cut = self.tokenizer.sequences(texts, self.max_length if self.cuts else None, self.threads)
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        longer = cut if self.cuts else int(np.count_nonzero(lengths > self.max_length))
        return _Buffer(np.concatenate(rows), lengths, Chunks.of(lengths, self.max_length), longer)

    def _encode(self, buffer: _Buffer, batch_tokens: int | None, tell: Callable[[float], None]) -> Tensor:
        """(E, D) float32 on the host; zero for a text without tokens."""
        chunks = buffer.chunks
        vectors = torch.zeros(len(buffer.lengths), self.model.vector_dim)
        share = (chunks.lengths / buffer.lengths[chunks.text]).astype(np.float32)
        any_cut, done = len(chunks.text) > np.count_nonzero(buffer.lengths), 0

        def encode(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Tensor]:
            # `length_batches` sorts as `pack_flat` does, so the vectors are in the order of `rows`.
            batch = pack_flat(buffer.ids, chunks.lengths[rows], starts=chunks.starts[rows]).to(self.device)
            pooled = self.model.sentence_vectors(batch, n_layers=self.layer, normalise=False)
            return rows, pooled.float().cpu()

        with evaluation_mode(self.model), self.computing():
            threads = encoding_threads(self.device)
            batches = length_batches(chunks.lengths, tokens_for_each(batch_tokens, threads, self.device))
            with closing(map_in_threads(encode, batches, threads)) as encoded:
                for rows, found in encoded:
                    text = torch.from_numpy(chunks.text[rows])
                    if any_cut:
                        vectors.index_add_(0, text, found * torch.from_numpy(share[rows])[:, None])
                    else:
                        vectors[text] = found
                    done += len(rows)
                    tell(done / len(chunks.text))
        return vectors


def joined(blocks: list[Vectors], dim: int) -> Vectors:
    """Blocks (b, D) as one array (E, D). Each leaves the list as it is copied, which frees its memory."""
    if len(blocks) == 1:
        return blocks[0]
    found, done = np.empty((sum(map(len, blocks)), dim), dtype=np.float32), 0
    blocks.reverse()
    while blocks:
        block = blocks.pop()
        found[done : done + len(block)] = block
        done += len(block)
    return found
