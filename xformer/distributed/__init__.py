"""Training on many processes: how they are started, and their collectives."""
