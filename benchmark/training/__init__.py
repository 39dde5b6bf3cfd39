"""Training of one run: a row and a seed become a record."""
