"""Tests of trials/engine."""
