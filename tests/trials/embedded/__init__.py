"""Tests of trials/embedded."""
