"""How good a classifier is: by language, beside baselines, with its calibration."""
