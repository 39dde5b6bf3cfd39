"""How fast training is, beside loops that anyone would write."""
