"""Tests of orchestrator/take_home."""
