"""Tests of analysis/theory."""
