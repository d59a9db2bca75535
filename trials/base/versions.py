"""Versions that a stored row names, and our own."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

__version__ = "0.1.0"  # here, not in pyproject.toml, so that a checkout that nobody has installed knows it
RECORDED = ("torch", "transformers", "ray")


def recorded_versions() -> dict[str, str | None]:
    """What a stored row says of versions."""
    return {"clipsweep": __version__, **{name: package_version(name) for name in RECORDED}}


@cache
def package_version(name: str) -> str | None:
    """Version of an installed distribution; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
