"""The third task: a decoder writes what an encoder reads, in another language or as its summary."""
