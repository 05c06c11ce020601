"""The training loop and all that it leaves behind in a run directory."""
