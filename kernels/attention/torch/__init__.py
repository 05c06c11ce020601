"""The `torch` backend of attention: a packed batch as dense blocks through PyTorch's own kernels."""
