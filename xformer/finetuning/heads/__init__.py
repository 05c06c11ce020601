"""Heads: from the encoder's hidden states to logits of texts, of pairs of texts, or of words."""
