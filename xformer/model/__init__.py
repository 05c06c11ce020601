"""The model: packed batches, the encoder and its layers, heads, and the padded twin that defines it."""
