"""Cut texts into token ids inside a SavedModel, by the SentencePiece of the package `tensorflow-text`.

Shapes: B texts, N positions.
"""

from __future__ import annotations

from typing import Any

from xformer.errors import InputError
from xformer.tokenizer import Tokenizer
from xformer.tokenizer.interface import TextTokenizer
from xformer.tokenizer.proto import without_dummy_prefix
from xformer.tokenizer.special import PAD_ID

_MARK = "\u2581"
"""How SentencePiece writes a space. In a text it has no piece; `Tokenizer` makes it its bytes."""


def require_cuttable(tokenizer: TextTokenizer) -> Tokenizer:
    """The tokenizer, if TensorFlow can have it.

    Raises:
        InputError: it is one of another library.
    """
    if not isinstance(tokenizer, Tokenizer):
        raise InputError(
            "--text: expected a run of xformer pretrain, or one that was fine-tuned from it; the tokenizer of"
            " an imported model is not SentencePiece as tensorflow-text has it. Leave out --text, and cut"
            " texts with the tokenizer.json of the folder"
        )
    return tokenizer


def text_cutter(tokenizer: Tokenizer, max_length: int) -> Any:
    """A module of TensorFlow: texts (B,) to ids and mask (B, N), both int64, cut at `max_length` tokens."""
    import tensorflow as tf
    import tensorflow_text

    space, *mark = tokenizer.encode(_MARK).tolist()

    class Cutter(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            model = tokenizer.to_bytes()
            # The second one puts no space in front: what it cuts goes on after other text. Without names of
            # their own, both would be the first one once the SavedModel is loaded.
            self.begins = tensorflow_text.SentencepieceTokenizer(model=model, name="begins")
            self.goes_on = tensorflow_text.SentencepieceTokenizer(
                model=without_dummy_prefix(model), name="goes_on"
            )

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "texts")], autograph=False)
        def __call__(self, texts: Any) -> tuple[Any, Any]:
            if tokenizer.normalization != "identity":
                texts = tensorflow_text.normalize_utf8(texts, tokenizer.normalization.upper())
            rows = self._rows(tf.strings.split(texts, _MARK))[:, :max_length]
            ids = tf.cast(rows.to_tensor(default_value=PAD_ID), tf.int64)
            return ids, tf.cast(tf.sequence_mask(rows.row_lengths(), tf.shape(ids)[1]), tf.int64)

        def _rows(self, parts: Any) -> Any:
            """The ids (B, ids) of texts that were parted (B, parts) at each mark."""
            flat, n_parts = parts.flat_values, parts.row_lengths()
            starts = parts.row_splits[:-1]
            first, places = tf.gather(flat, starts), tf.range(parts.row_splits[-1])
            is_first = tf.equal(places, tf.repeat(starts, n_parts))
            # SentencePiece puts no space in front of an empty text.
            blank = tf.cast(tf.equal(first, "") & (n_parts > 1), tf.int64)
            begun = tf.concat((_repeated([space], blank), self.begins.tokenize(first)), 1)
            others = tf.boolean_mask(flat, ~is_first)
            more = tf.ones_like(others, tf.int64)
            rest = tf.concat((_repeated(mark, more), self.goes_on.tokenize(others)), 1)
            # Back into the order of the parts.
            order = tf.concat((tf.boolean_mask(places, is_first), tf.boolean_mask(places, ~is_first)), 0)
            rows = tf.gather(tf.concat((begun, rest), 0), tf.argsort(order))
            return tf.RaggedTensor.from_row_splits(rows, parts.row_splits).merge_dims(1, 2)

    return Cutter()


def _repeated(ids: list[int], times: Any) -> Any:
    """Rows of some ids, each row so many times."""
    import tensorflow as tf

    flat = tf.tile(tf.constant(ids, tf.int32), tf.reduce_sum(times)[None])
    return tf.RaggedTensor.from_row_lengths(flat, times * len(ids))
