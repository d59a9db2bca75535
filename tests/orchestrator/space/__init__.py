"""Tests of orchestrator/space."""
