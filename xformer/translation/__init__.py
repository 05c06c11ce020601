"""The third task: a decoder learns to write what an encoder reads, in another language."""
