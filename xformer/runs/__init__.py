"""A run's directory, settings, checkpoints, log and model card."""
