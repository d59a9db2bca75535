"""Tests of trials/clips."""
