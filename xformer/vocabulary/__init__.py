"""Runs with another vocabulary, made out of runs: trimmed to some languages, extended for new ones."""
