"""Stored rows and the points of a study as pandas frames."""
