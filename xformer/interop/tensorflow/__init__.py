"""A network as a module of TensorFlow."""
