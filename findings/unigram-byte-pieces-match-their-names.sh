#!/usr/bin/env bash
# tokenizers reads the name of a byte piece, written out in a text, as the byte.
#
# Most expect: a Unigram model with byte fallback uses its byte pieces only for characters without a piece, as sentencepiece
# does with the same pieces; or that a very low score keeps them out.
# Seen: tokenizers puts the byte pieces in the trie of ordinary pieces, so the six characters <0x41> in a text become the one
# byte 0x41, and decoding gives "A". A score of -1000 doesn't help where one of the characters has no piece: an unknown
# character costs the lowest score of all minus 10, so it is always dearer. It helps where all six characters have pieces.
# Documentation and code contain such names; sentencepiece gives the text back.
# Version: tokenizers 0.23.3, sentencepiece 0.2.3.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check tokenizers==0.23.3 sentencepiece==0.2.3
"$folder/venv/bin/python" - <<'PYTHON'
import io

import sentencepiece
from tokenizers import Tokenizer, decoders, models

LINES = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog ran", "code 0x14 and A4"] * 20


def trained(lines):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=320, hard_vocab_limit=False, model_type="unigram",
        byte_fallback=True, normalization_rule_name="identity", minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


def same_pieces(processor, byte_score):
    ids = range(processor.get_piece_size())
    scores = [byte_score if processor.is_byte(i) else processor.get_score(i) for i in ids]
    pieces = [processor.id_to_piece(i) for i in ids]
    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores)), unk_id=processor.unk_id(), byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def there_and_back(tokenizer, text):
    encoded = tokenizer.encode("▁" + text.replace(" ", "▁"))
    return encoded.tokens, tokenizer.decode(encoded.ids, skip_special_tokens=False).lstrip()


TEXT = "the <0x41> cat"
without = trained(LINES)
pieces = without.encode(TEXT, out_type=str)
print("sentencepiece:", pieces, repr(without.decode(without.encode(TEXT))))
assert "<0x41>" not in pieces and without.decode(without.encode(TEXT)) == TEXT, "the behaviour has changed"
for score in (0.0, -1000.0):
    tokens, text = there_and_back(same_pieces(without, score), TEXT)
    print(f"tokenizers, byte pieces at {score}:", tokens, repr(text))
    assert "<0x41>" in tokens and text == "the A cat", "the behaviour has changed"
tokens, text = there_and_back(same_pieces(trained(LINES + ["if a < b or b > c"] * 20), -1000.0), TEXT)
print("tokenizers, byte pieces at -1000.0, pieces for all characters:", tokens, repr(text))
assert "<0x41>" not in tokens and text == TEXT, "the behaviour has changed"
PYTHON
