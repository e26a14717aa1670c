"""redeg: learn how a photo was degraded from the faces in it, and restore the whole photo."""

__version__ = "0.1.0"
