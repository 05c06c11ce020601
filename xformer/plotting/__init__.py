"""Charts and pages, for runs and benches alike."""
