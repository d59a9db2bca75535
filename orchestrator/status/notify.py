"""Tell an address of the user's that a study has ended: one POST of one JSON document. The address may be a secret."""

from __future__ import annotations

import json
import platform
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from clipsweep.trials.base.errors import ClipsweepError, SpecError

TIMEOUT_S = 5.0
EXPECTED = "expected http:// or https:// and a host, as in https://example.org/hooks/1"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET, without its document, and elsewhere."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> None:
        """Follow nothing."""


def check_address(url: str) -> None:
    """Refuse an address that nothing can be posted to; what it says is not repeated.

    Raises:
        SpecError: It has another scheme, no host, a wrong port, or a password before its host.
    """
    try:
        parts = urlsplit(url)
        scheme, host, user = parts.scheme, parts.hostname, parts.username
        _ = parts.port  # raises where it is no number
    except ValueError:
        scheme, host, user = "", None, None
    if not url.isascii() or any(character.isspace() for character in url) or scheme not in {"http", "https"}:
        raise SpecError(f"--notify is no address on the web; {EXPECTED}.")
    if not host:
        raise SpecError(f"--notify has no host; {EXPECTED}.")
    if user is not None:
        raise SpecError(
            "--notify has a user or password before its host, which is not sent; put a token into its path."
        )


@dataclass(slots=True, kw_only=True)
class Ending:
    """How a study ends, filled in as that becomes known.

    Attributes:
        study: Its name.
        dir: Its folder.
        state: ``done``, ``failed``, ``interrupted``, or ``crashed`` where its run ended with an error.
        status: The document of ``clipsweep status --json``, from which counts are told.
        best: The document of ``clipsweep best --json``, from which the winner is told.
        error: What ended a run that crashed.
    """

    study: str
    dir: str
    state: str = "crashed"
    status: Mapping[str, Any] = field(default_factory=dict)
    best: Mapping[str, Any] | None = None
    error: str | None = None

    def document(self, seconds: float) -> dict[str, Any]:
        """What is posted; ``seconds`` is how long this run took."""
        return {
            "study": self.study,
            "dir": self.dir,
            "state": self.state,
            **{key: self.status.get(key) for key in ("done", "failed", "total")},
            "best": self._winner(),
            "seconds": round(seconds, 1),
            "host": platform.node(),
            "error": self.error,
        }

    def _winner(self) -> dict[str, Any] | None:
        if self.best is None:
            return None
        point = {key: self.best["winner"][key] for key in ("shots", "clips")}
        return point | {key: self.best[key] for key in ("metric", "score", "baseline_score", "gain")}


@contextmanager
def notifying(url: str | None, ending: Ending, warn: Callable[[str], None]) -> Iterator[None]:
    """Post how a study ended when the block does, whatever ends it; a post that fails is a warning.

    Args:
        url: Where to; None for nowhere.
        ending: Filled in inside the block.
        warn: Shows the user a line.
    """
    began = time.monotonic()
    try:
        yield
    except (ClipsweepError, OSError) as error:
        ending.error = str(error)
        raise
    except KeyboardInterrupt:
        ending.state = "interrupted"
        raise
    finally:
        problem = None if url is None else post(url, ending.document(time.monotonic() - began))
        if problem is not None:
            warn(f"warning: nobody could be told that {ending.study} has ended: {problem}")


def post(url: str, document: Mapping[str, Any]) -> str | None:
    """Post a document once; what went wrong, in words that do not repeat the address, or None."""
    body = json.dumps(document).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "clipsweep"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S):
            return None
    except HTTPError as error:
        return f"it answered with status {error.code}"
    except URLError as error:
        return _reason(error.reason)
    except (OSError, HTTPException) as error:
        return _reason(error)


def _reason(error: BaseException | str) -> str:
    """Why nothing answers."""
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S:.0f} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return error if isinstance(error, str) else type(error).__name__
