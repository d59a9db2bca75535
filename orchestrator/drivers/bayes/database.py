"""The database of ``search.storage``: its address with a password that no study's folder holds."""

from __future__ import annotations

from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.base.passwords import HIDDEN, fill_variables, has_hidden, hide_password

FROM_ENVIRONMENT = "postgresql://user:${DATABASE_PASSWORD}@host/name"


def database_url(named: str) -> str:
    """The address to open: with the values of the environment for ``${NAME}``.

    Args:
        named: Key ``search.storage``.

    Raises:
        StudyError: A variable is not set, or the password is one that was left out of a study's folder.
    """
    if has_hidden(named):
        raise StudyError(
            f"study key 'search.storage' is {named!r}, with {HIDDEN} for its password, which no study's folder holds. "
            f"Run your own study file, or name a variable of the environment, as in {FROM_ENVIRONMENT!r}."
        )
    url, missing = fill_variables(named)
    if missing:
        raise StudyError(
            f"study key 'search.storage' names the variable {missing[0]} of the environment, which is not set. "
            f"Set it: export {missing[0]}=…"
        )
    return url


def without_password(words: str, url: str) -> str:
    """What a library says of a database, without the password, however it repeats it."""
    shown, hidden = url, hide_password(url)
    words = hide_password(words.replace(shown, hidden))
    return words.replace(password, HIDDEN) if (password := _password(url)) else words


def _password(url: str) -> str:
    """What stands between the user's name and the host."""
    user, at, _ = url.partition("://")[2].rpartition("@")
    return user.partition(":")[2] if at else ""
