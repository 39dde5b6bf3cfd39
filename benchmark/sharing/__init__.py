"""Trained models outside of their run: found by name, evaluated on other data and by other methods, and exported."""
