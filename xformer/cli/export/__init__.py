"""`xformer export`."""
