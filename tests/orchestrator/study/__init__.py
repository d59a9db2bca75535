"""Tests of orchestrator/study."""
