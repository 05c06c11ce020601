"""The trainers of the training bench: xformer's, and its peers."""
