"""Tests of trials/export."""
