"""From texts to sentence vectors."""
