"""The operations that the bench knows, each in a file of its own."""
