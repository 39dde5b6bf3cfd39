"""Translation: sentence pairs."""
