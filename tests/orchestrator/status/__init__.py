"""Tests of orchestrator/status."""
