"""How near the summaries of a run are to those that people wrote."""
