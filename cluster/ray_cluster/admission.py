"""Who may come in: the token that a Ray asks of all who call it, which it reads from the environment."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clipsweep.cluster.ray_cluster.guard import variables_kept
from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.base.os_words import word_os_error

MODE, TOKEN, TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
BY_TOKEN, DISABLED = "token", "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownToken:
    """What Ray will show to a cluster that it joins.

    Attributes:
        token: None where it shows none.
        source: Where it was found, or why there is none, as messages say it.
    """

    token: str | None
    source: str


@contextmanager
def own_token() -> Iterator[None]:
    """Have a Ray that is started meanwhile ask for a token that only its processes know.

    A token of the user's own variables is kept, so that ``ray status`` can be let in; with ``RAY_AUTH_MODE=disabled``
    none is asked for. Nothing is written to a file, as a home may be missing, and Ray lets all users read its own.

    Raises:
        SpecError: The user names a file of a token that cannot be read.
    """
    with variables_kept(MODE, TOKEN):
        if os.environ.get(MODE, "").lower() != DISABLED:
            os.environ[MODE] = BY_TOKEN
            if _token_of_variables() is None:
                os.environ[TOKEN] = secrets.token_hex(32)
        yield


def shown_token(*, found_by_ray: bool) -> ShownToken:
    """The token that Ray will show to a cluster.

    Args:
        found_by_ray: The cluster's address is ``auto``: then Ray shows a token that it finds without being told to.

    Raises:
        SpecError: There is to be a token, and none is found.
    """
    mode = os.environ.get(MODE)
    if mode is None and not found_by_ray:
        return ShownToken(token=None, source=f"none was shown, as {MODE} is not set")
    if mode is not None and mode.lower() != BY_TOKEN:
        return ShownToken(token=None, source=f"none was shown, as {MODE} is {mode!r}")
    found = _token_of_variables() or _token_of_home()
    if found is None and mode is not None:
        raise SpecError(
            f"{MODE} is {mode!r}, but there is no token; expected one in {TOKEN}, or the name of its file in "
            f"{TOKEN_FILE}. Copy it from the machine where the cluster's head runs."
        )
    return found or ShownToken(token=None, source="none was found")


def _token_of_variables() -> ShownToken | None:
    """The token that the environment gives, or whose file it names."""
    if token := os.environ.get(TOKEN):
        return ShownToken(token=token, source=f"the one of {TOKEN} was shown")
    named = os.environ.get(TOKEN_FILE)
    return _token_of(Path(named).expanduser()) if named else None


def _token_of_home() -> ShownToken | None:
    """The token that Ray keeps for the user."""
    kept = Path(os.path.expanduser("~")) / ".ray" / "auth_token"
    return _token_of(kept) if kept.is_file() else None


def _token_of(file: Path) -> ShownToken:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SpecError(word_os_error(error, f"reading the token of {TOKEN_FILE}, {file},")) from error
    if not token:
        raise SpecError(f"the token's file {file} is empty; expected a token. Write one, or set {TOKEN_FILE}.")
    return ShownToken(token=token, source=f"the one in {file} was shown")
