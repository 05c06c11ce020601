"""The version of the package, in a file of its own: every part can read it without the package's names."""

__version__ = "0.3.0"
