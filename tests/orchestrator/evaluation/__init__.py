"""Tests of orchestrator/evaluation."""
