"""Tests of analysis/row."""
