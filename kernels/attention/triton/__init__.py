"""The `triton` backend of attention: fused kernels over packed sequences."""
