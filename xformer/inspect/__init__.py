"""See inside: trace what a model computes, change it, and draw it."""
