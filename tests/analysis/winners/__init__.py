"""Tests of analysis/winners."""
