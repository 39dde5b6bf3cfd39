"""What the paper says: one file a task with its configuration, its rows, its data sets and their sources."""
