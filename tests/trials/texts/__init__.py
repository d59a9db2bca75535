"""Tests of trials/texts."""
