"""One file a task: its configuration, its rows, the captions of its tables and its data sources."""
