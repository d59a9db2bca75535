"""Tests of orchestrator/drivers/neighbours."""
