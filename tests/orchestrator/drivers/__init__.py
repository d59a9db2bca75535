"""Tests of orchestrator/drivers."""
