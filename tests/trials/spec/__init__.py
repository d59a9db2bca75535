"""Tests of trials/spec."""
