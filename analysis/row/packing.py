"""What a row stores of every example, in few bytes: outcomes as bits, margins in half precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MARGIN_DTYPE = np.dtype("<f2")
LOGLIKELIHOOD_DTYPE = np.dtype("<f4")
TOKENS_DTYPE = np.dtype("<u4")


def pack_outcomes(outcomes: Sequence[bool]) -> bytes:
    """One bit for each example, the first in the highest bit; the last byte is filled with zeros."""
    return np.packbits(np.asarray(outcomes, dtype=bool)).tobytes()


def unpack_outcomes(packed: bytes, n_examples: int) -> NDArray[np.bool_]:
    """Right or wrong for each example: shape ``(n_examples,)``."""
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=n_examples).astype(bool)


def outcomes_as_text(packed: bytes, n_examples: int) -> str:
    """A 1 for each example that was right, a 0 for each that was wrong."""
    return f"{int.from_bytes(packed, 'big'):0{8 * len(packed)}b}"[:n_examples] if packed else ""


def pack_margins(margins: Sequence[float]) -> bytes:
    """Two bytes for each example: IEEE 754 half precision, little-endian.

    A margin beyond the range of half precision becomes the largest, or the least, that there is.
    """
    limit = float(np.finfo(MARGIN_DTYPE).max)
    return bytes(np.clip(np.asarray(margins), -limit, limit).astype(MARGIN_DTYPE))


def unpack_margins(packed: bytes) -> NDArray[np.float64]:
    """Margin of each example: shape ``(n_examples,)``."""
    return np.frombuffer(packed, dtype=MARGIN_DTYPE).astype(np.float64)


def pack_loglikelihoods(values: Sequence[float]) -> bytes:
    """Four bytes for each window of text: IEEE 754 single precision, little-endian, as the engine gives them."""
    return np.asarray(values, dtype=LOGLIKELIHOOD_DTYPE).tobytes()


def unpack_loglikelihoods(packed: bytes) -> NDArray[np.float64]:
    """Log-likelihood of each window: shape ``(n_examples,)``."""
    return np.frombuffer(packed, dtype=LOGLIKELIHOOD_DTYPE).astype(np.float64)


def pack_tokens(counts: Sequence[int]) -> bytes:
    """Four bytes for each window of text: an unsigned integer, little-endian."""
    return np.asarray(counts, dtype=TOKENS_DTYPE).tobytes()


def unpack_tokens(packed: bytes) -> NDArray[np.int64]:
    """Scored tokens of each window: shape ``(n_examples,)``."""
    return np.frombuffer(packed, dtype=TOKENS_DTYPE).astype(np.int64)
