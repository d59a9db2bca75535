"""Tests of orchestrator/theory."""
