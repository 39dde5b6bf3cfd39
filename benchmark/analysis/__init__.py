"""What the runs show: effects, claims, ensembles, regressions."""
