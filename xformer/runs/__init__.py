"""A run: its directory, settings, checkpoints, logs and model card. It knows nothing of training."""
