"""Tests of analysis/drawing."""
