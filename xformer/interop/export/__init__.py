"""A run as a folder of other libraries, compared with the run before it is kept."""
