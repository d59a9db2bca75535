"""The results table on disk: its schema, its rows, and the spectrum file."""
