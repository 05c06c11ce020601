"""Compile every kernel for GPUs that are not here, and read what became of it."""
