"""Tests of orchestrator/views."""
