"""Read what users hand over as JSON, and say in a sentence what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.base.os_words import worded_as

AGAIN = "Copy or download it again."


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Refuse what cannot be read.

    Raises:
        ModelError: The system's reason, and the file.
    """
    with worded_as(ModelError, f"reading {path}"):
        yield


def is_file(path: Path) -> bool:
    """Whether there is a file.

    Raises:
        ModelError: There is a link, but not what it stands for; or the folder cannot be read.
    """
    with reading(path):
        if path.is_symlink() and not path.exists():
            raise ModelError(
                f"{path} is a link to {path.readlink()}, which is not there; expected the file itself. {AGAIN}"
            )
        return path.is_file()


def read_mapping(path: Path, kind: str) -> dict[str, Any]:
    """Read a file that holds a JSON mapping; ``kind`` is what ``parse_mapping`` takes.

    Raises:
        ModelError: It cannot be read, or as ``parse_mapping``.
    """
    with reading(path):
        content = path.read_bytes()
    return parse_mapping(content, path, kind)


def parse_mapping(content: bytes, path: Path, kind: str) -> dict[str, Any]:
    """Parse a JSON mapping.

    Args:
        content: The JSON, as UTF-8.
        path: What messages call it.
        kind: What it was expected to be, e.g. ``"a config"``.

    Raises:
        ModelError: It is not UTF-8, not JSON, nested without end, no mapping, or has two values for a key.
    """
    try:
        parsed = json.loads(content.decode("utf-8"), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not {kind}: its JSON does not parse ({_short(error)}). {AGAIN}") from error
    if not isinstance(parsed, dict):
        raise ModelError(f"{path} is not {kind}: it holds {describe(parsed)}; expected a JSON mapping. {AGAIN}")
    return parsed


def describe(value: object) -> str:
    """A value of JSON in words: its kind, and the value where that is short."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping; a key may stand twice with one value, as some configs of the hub have it."""
    mapping: dict[str, Any] = {}
    for name, value in pairs:
        if mapping.setdefault(name, value) != value:
            raise ValueError(f"the key {name!r} stands twice, with different values")
    return mapping


def _short(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
