"""Figures of what points score and gain."""
