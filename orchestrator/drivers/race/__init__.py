"""Races: which points see more rows."""
