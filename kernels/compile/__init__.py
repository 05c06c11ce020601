"""Compile every kernel for GPUs that are not here, and report the resources that it takes."""
