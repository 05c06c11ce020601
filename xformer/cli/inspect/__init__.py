"""`xformer inspect`: see inside a model."""
