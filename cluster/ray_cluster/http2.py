"""As much of HTTP/2 as it takes to ask a gRPC server one question: Ray's own client tries for minutes, and is loud."""

from __future__ import annotations

from collections.abc import Mapping

DATA, HEADERS, SETTINGS = 0, 1, 4  # kinds of frames
END_STREAM, END_HEADERS = 1, 4
LONGEST_IN_A_BYTE = 127  # the length of a text, in seven bits; what is longer goes on in bytes of seven bits


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """A frame: length, kind, flags, stream, content."""
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, b"")


def kind_of(answer: bytes) -> int | None:
    """The kind of the first frame of an answer."""
    return answer[3] if len(answer) > 3 else None


def grpc_call(method: str, host: str, headers: Mapping[str, str]) -> bytes:
    """A call of a method with an empty message, as the first on its line."""
    fields = {":method": "POST", ":scheme": "http", ":path": method, ":authority": host}
    fields |= {"content-type": "application/grpc", "te": "trailers", **headers}
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())
    return frame(HEADERS, END_HEADERS, 1, block) + frame(DATA, END_STREAM, 1, bytes(5))


def _text(value: str) -> bytes:
    """A name or a value, its length before it."""
    content = value.encode()
    if len(content) < LONGEST_IN_A_BYTE:
        return bytes([len(content)]) + content
    left, length = len(content) - LONGEST_IN_A_BYTE, bytearray([LONGEST_IN_A_BYTE])
    while left >= 128:
        length.append(left % 128 + 128)
        left //= 128
    return bytes(length) + bytes([left]) + content
