"""Texts per second of fine-tuning beside Hugging Face's Trainer: the same shape and texts, in turns."""
