"""Tests of trials/tasks."""
