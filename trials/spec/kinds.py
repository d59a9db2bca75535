"""The kinds of clip by name, and where each is written. A new kind is an entry of ``KINDS`` and its class.

Listing the names imports nothing; ``clips/kind.py`` loads a kind when it is first used.
"""

from __future__ import annotations

DEFAULT_KIND = "svd"
KINDS: dict[str, str] = {"svd": "clipsweep.trials.clips.svd:Svd"}
