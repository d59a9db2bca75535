"""Tests of trials/harness."""
