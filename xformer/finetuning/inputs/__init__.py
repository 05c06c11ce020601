"""Examples as token ids: texts, pairs of texts, sentences of words."""
