"""Language modelling: texts as contiguous streams."""
