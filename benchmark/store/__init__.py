"""The store of runs: records, locks, provenance."""
