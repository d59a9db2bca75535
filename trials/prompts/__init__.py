"""Prompts as tokens, and what a trial makes of them."""
