"""Tests of trials/theory/regression."""
