"""Tests of trials/decoder."""
