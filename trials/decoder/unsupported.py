"""What a decoder finds out about a model that it cannot run."""

from __future__ import annotations


class NotUnderstood(Exception):  # noqa: N818 - a finding, not an error: the caller takes a slower way
    """A model or block that is not built as this way of running it needs."""
