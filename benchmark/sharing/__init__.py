"""Trained models outside of their run: evaluated on other data and by other methods, and exported."""
