"""Passwords in addresses: hidden wherever an address is shown or kept, and taken from the environment."""

from __future__ import annotations

import os
import re
from functools import reduce
from typing import Any

HIDDEN = "***"
VARIABLE = re.compile(r"\$\{(\w+)\}")
_IN_FRONT = re.compile(r"([A-Za-z][\w+.-]*://[^\s:/@]*:)([^\s'\"]+)(@)")  # scheme://user:password@host
_ALONE = re.compile(r"(https?://)([^\s:/@'\"]+)(@)", re.IGNORECASE)  # a token without a name, as hubs take it
_KEYS = "password|passwd|pwd|passphrase|sslpassword|token|access_token|api_key|secret"
_BEHIND = re.compile(rf"([?&](?:{_KEYS})=)([^&\s'\"]+)()", re.IGNORECASE)
_QUOTED = re.compile(rf"((?:[=+]|%\w\w)(?:{_KEYS})%3D)([^&\s'\"]+)()", re.IGNORECASE)  # ?options=-c%20password%3DP
_ALL = (_IN_FRONT, _ALONE, _BEHIND, _QUOTED)


def hide_password(text: str) -> str:
    """A text with stars for the password of each address in it; ``${NAME}``, which is none, stays.

    Args:
        text: An address, or words that repeat one.
    """
    return reduce(lambda hidden, pattern: pattern.sub(_cover, hidden), _ALL, text)


def _cover(found: re.Match[str]) -> str:
    before, password, after = found.groups()
    return f"{before}{password if VARIABLE.fullmatch(password) else HIDDEN}{after}"


def hide_passwords(value: Any) -> Any:
    """The same of every text in plain values: in lists, and behind the keys of mappings."""
    if isinstance(value, str):
        return hide_password(value)
    if isinstance(value, dict):
        return {key: hide_passwords(each) for key, each in value.items()}
    return [hide_passwords(each) for each in value] if isinstance(value, list) else value


def has_hidden(address: str) -> bool:
    """Whether stars stand where a password was."""
    return any(found.group(2) == HIDDEN for pattern in _ALL for found in pattern.finditer(address))


def fill_variables(address: str) -> tuple[str, list[str]]:
    """An address with the values of the environment for ``${NAME}``, and the names that have none."""
    missing = [name for name in VARIABLE.findall(address) if name not in os.environ]
    return VARIABLE.sub(lambda found: os.environ.get(found.group(1), found.group(0)), address), missing
