"""Tests of orchestrator/drivers/race."""
