"""Tests of trials/prompts."""
