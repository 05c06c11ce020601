"""How well the model predicts hidden text and how well its languages share one space, beside baselines."""
