"""Tests of orchestrator/folder."""
