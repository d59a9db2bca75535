"""Evaluate trials, computing only what a clip changes."""
