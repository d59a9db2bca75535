"""Tests of analysis/figures/scores."""
