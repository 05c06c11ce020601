"""Training, encoding and evaluating beside busy processes, on two revisions of the code in turns."""
