"""The report of a study: its facts, and the examples that changed."""
