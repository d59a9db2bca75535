"""Faults put into running studies: killed, stopped, refused and lost at chosen or random moments, and resumed."""
