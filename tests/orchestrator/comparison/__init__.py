"""Tests of orchestrator/comparison."""
