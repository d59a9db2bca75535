"""Tests of analysis/figures/regression."""
