"""What is kept of runs: records, locks, provenance."""
