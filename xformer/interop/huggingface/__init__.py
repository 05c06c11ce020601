"""Models read from and written to Hugging Face folders."""
