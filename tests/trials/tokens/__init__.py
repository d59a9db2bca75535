"""Tests of trials/tokens."""
