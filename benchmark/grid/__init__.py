"""Many runs: a grid of rows and seeds, and where it goes."""
