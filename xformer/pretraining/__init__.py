"""Pretraining: masked-LM and alignment objectives on a multilingual corpus."""
