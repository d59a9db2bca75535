"""Rows as they were written: which files are a split, what each holds, and a value as text."""
