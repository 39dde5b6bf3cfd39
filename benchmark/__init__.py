"""The suite: rows of the paper, running them, records, tables and the command line."""
