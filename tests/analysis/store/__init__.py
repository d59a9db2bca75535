"""Tests of analysis/store."""
