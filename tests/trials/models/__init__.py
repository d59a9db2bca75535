"""Tests of trials/models."""
