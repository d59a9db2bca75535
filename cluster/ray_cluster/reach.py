"""Whether a Ray cluster answers and lets us in, asked with a plain socket: Ray tries for minutes, and is deaf."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from pathlib import Path

from clipsweep.cluster.ray_cluster.admission import MODE, TOKEN, TOKEN_FILE, ShownToken, shown_token
from clipsweep.cluster.ray_cluster.http2 import GREETING, SETTINGS, grpc_call, kind_of
from clipsweep.trials.base.errors import NoClusterError, SpecError

LOCAL, AUTO, CLIENT = "local", "auto", "ray://"
ANSWER_S = 5.0
LOOK_UP_S = 10.0  # of a host's name, and the answer
QUESTION = "/ray.rpc.NodeInfoGcsService/GetClusterId"  # the first that Ray asks of a head
ANSWERED, REFUSED = b"grpc-status", b"InvalidAuthToken"
ENCRYPTED = {"1", "true"}  # values of RAY_USE_TLS
REFUSAL = "it does not know our token"
EXPECTED = "expected HOST:PORT of a cluster's head, 'auto' or ray://HOST:PORT"


def check_address(address: str, named: str) -> None:
    """Refuse an address where no cluster answers within a few seconds.

    Args:
        address: As Ray takes it.
        named: Where it was given, as messages say it.

    Raises:
        SpecError: It is none.
        NoClusterError: Nothing, or something else than Ray, answers there, or it asks for another token.
    """
    shown = shown_token(found_by_ray=address == AUTO)
    asked = _current_cluster() if address == AUTO else address.removeprefix(CLIENT)
    if asked is None or asked == LOCAL:
        return
    host, port = parse_address(asked, named)
    reason = _ask_in_time(host, port, None if address.startswith(CLIENT) else shown)
    if reason == REFUSAL:
        raise NoClusterError(
            f"the Ray cluster at {named} {address!r} asks for a token; {shown.source}. Expected the one that its "
            f"head was started with: set {MODE}=token, and {TOKEN} to it or {TOKEN_FILE} to its file."
        )
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


def _ask_in_time(host: str, port: int, shown: ShownToken | None) -> str | None:
    """Ask in a thread, as looking up a name can take long and cannot be interrupted; None if all is well."""
    reasons: list[str | None] = []
    thread = threading.Thread(target=lambda: reasons.append(_ask(host, port, shown)), daemon=True)
    thread.start()
    thread.join(LOOK_UP_S)
    return reasons[0] if reasons else f"no answer within {LOOK_UP_S:.0f} s"


def _ask(host: str, port: int, shown: ShownToken | None) -> str | None:
    """Greet whatever listens as a gRPC client does, then show the token; what is wrong, or None."""
    try:
        with socket.create_connection((host, port), timeout=ANSWER_S) as line:
            if os.environ.get("RAY_USE_TLS", "0").lower() in ENCRYPTED:
                return None  # our greeting would be no message to it
            line.sendall(GREETING)
            if kind_of(line.recv(9)) != SETTINGS:
                return "something else than Ray answers there"
            return REFUSAL if shown is not None and _is_refused(line, host, shown.token) else None
    except (socket.gaierror, UnicodeError):  # the latter of a name that none can have, as in 'a..b'
        return f"no host {host!r} is known"
    except TimeoutError:
        return f"no answer within {ANSWER_S:.0f} s"
    except ConnectionRefusedError:
        return "nothing listens there"
    except OSError as error:
        return f"it cannot be reached ({error.strerror or error})"


def _is_refused(line: socket.socket, host: str, token: str | None) -> bool:
    """Whether a head says that it does not know the token; one that says nothing in time is left to Ray."""
    heard = b""
    try:
        line.sendall(grpc_call(QUESTION, host, {} if token is None else {"authorization": f"Bearer {token}"}))
        while ANSWERED not in heard and (more := line.recv(4096)):
            heard += more
    except OSError:
        return False
    return REFUSED in heard
