"""Tests of orchestrator/drivers/bayes."""
