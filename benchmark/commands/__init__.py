"""The commands of `rnnreg`, a file a family."""
