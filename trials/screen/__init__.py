"""Predict what clips do to margins, all at once, by one backward pass."""
