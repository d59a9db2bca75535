"""Tests of orchestrator/plan."""
