"""Tests of analysis/published."""
