"""Figures of single answers, and of test scores: what flips, how sure, how much by chance."""
