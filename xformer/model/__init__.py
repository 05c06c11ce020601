"""The model: packed batches, the encoder and its layers, heads, and a padded reference implementation."""
