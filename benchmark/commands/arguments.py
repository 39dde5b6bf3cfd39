"""Marks of parameters that the command line reads."""

POSITIONAL = "positional"
