"""Benches: the kernels beside their peers (`kernels/`), and training beside other trainers (`training/`)."""
