"""Language modeling: texts as contiguous streams."""
