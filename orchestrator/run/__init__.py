"""One run of a study from top to bottom."""
