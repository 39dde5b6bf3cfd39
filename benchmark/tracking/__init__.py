"""Weights & Biases: all that knows of it."""
