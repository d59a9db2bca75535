"""Whether a Ray cluster answers at an address, asked with a plain socket: Ray itself tries for minutes, and is deaf."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from pathlib import Path

from clipsweep.trials.base.errors import NoClusterError, SpecError

LOCAL, AUTO, CLIENT = "local", "auto", "ray://"
ANSWER_S = 5.0
LOOK_UP_S = 10.0  # of a host's name, and the answer
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # HTTP/2, which gRPC speaks: no settings
SETTINGS = 4  # kind of the frame that an HTTP/2 server answers with first
ENCRYPTED = {"1", "true"}  # values of RAY_USE_TLS
EXPECTED = "expected HOST:PORT of a cluster's head, 'auto' or ray://HOST:PORT"


def check_address(address: str, named: str) -> None:
    """Refuse an address where no cluster answers within a few seconds.

    Args:
        address: As Ray takes it.
        named: Where it was given, as messages say it.

    Raises:
        SpecError: It is none.
        NoClusterError: Nothing, or something else than Ray, answers there.
    """
    asked = _current_cluster() if address == AUTO else address.removeprefix(CLIENT)
    if asked is None or asked == LOCAL:
        return
    host, port = parse_address(asked, named)
    reason = _ask_in_time(host, port)
    if reason is not None:
        raise NoClusterError(
            f"no Ray cluster at {named} {address!r}: {reason}. Mend the address, or start one with 'ray start --head'."
        )


def _current_cluster() -> str | None:
    """Where Ray notes the cluster that 'auto' stands for; None where there is no note, and Ray looks for itself."""
    if named := os.environ.get("RAY_ADDRESS"):
        return None if named == AUTO else named
    note = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "ray_current_cluster"
    return note.read_text(encoding="utf-8").strip() if note.is_file() else None


def parse_address(address: str, named: str) -> tuple[str, int]:
    """Host and port of an address; ``("", 0)`` where Ray looks for itself.

    Args:
        address: As Ray takes it.
        named: Where it was given, as messages say it.

    Raises:
        SpecError: It is none.
    """
    if address in {LOCAL, AUTO}:
        return "", 0
    host, _, port = address.removeprefix(CLIENT).partition("/")[0].rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise SpecError(f"{named} is {address!r}; {EXPECTED}, as in 10.0.0.1:6379.")
    return host.strip("[]"), int(port)


def _ask_in_time(host: str, port: int) -> str | None:
    """Ask in a thread, as looking up a name can take long and cannot be interrupted; None if all is well."""
    reasons: list[str | None] = []
    thread = threading.Thread(target=lambda: reasons.append(_ask(host, port)), daemon=True)
    thread.start()
    thread.join(LOOK_UP_S)
    return reasons[0] if reasons else f"no answer within {LOOK_UP_S:.0f} s"


def _ask(host: str, port: int) -> str | None:
    """Greet whatever listens as a gRPC client does; what is wrong, or None."""
    try:
        with socket.create_connection((host, port), timeout=ANSWER_S) as line:
            if os.environ.get("RAY_USE_TLS", "0").lower() in ENCRYPTED:
                return None  # our greeting would be no message to it
            line.sendall(GREETING)
            answer = line.recv(9)
    except (socket.gaierror, UnicodeError):  # the latter of a name that none can have, as in 'a..b'
        return f"no host {host!r} is known"
    except TimeoutError:
        return f"no answer within {ANSWER_S:.0f} s"
    except ConnectionRefusedError:
        return "nothing listens there"
    except OSError as error:
        return f"it cannot be reached ({error.strerror or error})"
    return None if answer[3:4] == bytes([SETTINGS]) else "something else than Ray answers there"
