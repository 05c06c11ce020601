"""How well translations are found among lines: hidden pairs, and baselines that need no model."""
