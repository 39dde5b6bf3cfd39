"""Tracking of runs with Weights & Biases, known to this package alone."""
