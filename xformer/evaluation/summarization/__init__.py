"""How near summaries are to those that people wrote, beside baselines that need no model."""
