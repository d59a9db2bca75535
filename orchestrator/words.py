"""Quantities in words."""

from __future__ import annotations


def format_seconds(seconds: float) -> str:
    """Hours, minutes and seconds: ``3:05:00``, or ``0:42``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
