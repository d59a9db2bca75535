"""Tests of orchestrator/reporting."""
