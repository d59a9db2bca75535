"""Tests of trials/base."""
