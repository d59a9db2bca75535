"""Tests of trials/scores."""
