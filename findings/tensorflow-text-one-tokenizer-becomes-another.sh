#!/usr/bin/env bash
# A SavedModel with two SentencePiece vocabularies cuts both texts by the first one.
#
# Most expect: a module that holds two SentencepieceTokenizer objects, each made from its own model, gives after saving and
# loading the ids that it gave before, as of source and target of a translator.
# Seen: both objects keep their model in a shared resource of one default name. In the program that made them each has its
# own; after tf.saved_model.load there is one resource of that name, and the second tokenizer cuts by the first one's
# vocabulary. No warning and no error. With a different name= for each, ids are the same.
# Version: tensorflow-text 2.21.1, tensorflow-cpu 2.21.0, sentencepiece 0.2.3, Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/two.py" <<'PYTHON'
import io
import sys

import sentencepiece
import tensorflow as tf
import tensorflow_text as tf_text


def vocabulary(words):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words * 50), model_writer=model, vocab_size=40, hard_vocab_limit=False, minloglevel=2
    )
    return model.getvalue()


def ids(module, texts):
    return [found.numpy().tolist() for found in module.cut(texts)]


def translator(models, names):
    module = tf.Module()
    module.source, module.target = (
        tf_text.SentencepieceTokenizer(model=model, **({} if name is None else {"name": name}))
        for model, name in zip(models, names)
    )

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def cut(texts):
        return module.source.tokenize(texts).flat_values, module.target.tokenize(texts).flat_values

    module.cut = cut
    return module


english, german = vocabulary(["hello world here", "low"]), vocabulary(["guten tag wie", "geht es"])
texts = tf.constant(["hello guten"])
print("tensorflow", tf.__version__, "tensorflow-text", tf_text.__version__)
seen = {}
for names in ((None, None), ("source", "target")):
    module = translator((english, german), names)
    before = ids(module, texts)
    place = f"{sys.argv[1]}/{names[0]}"
    tf.saved_model.save(module, place)
    after = ids(tf.saved_model.load(place), texts)
    seen[names[0]] = before, after
    print(f"name={names}: source {before[0]} -> {after[0]}; target {before[1]} -> {after[1]}")
before, after = seen[None]
assert before[0] == after[0] and before[1] != after[1] == after[0], "changed: without names"
assert seen["source"][0] == seen["source"][1], "changed: with names"
print("as stated")
PYTHON
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q --disable-pip-version-check tensorflow-cpu==2.21.0 tensorflow-text==2.21.1 sentencepiece==0.2.3
TF_CPP_MIN_LOG_LEVEL=3 "$folder/env/bin/python" -W ignore "$folder/two.py" "$folder" 2>/dev/null
