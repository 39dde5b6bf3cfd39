"""Many runs: grids of rows and seeds, and the launchers that run them."""
