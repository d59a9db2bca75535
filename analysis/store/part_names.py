"""Names of the files in a table's folder: made and read here alone."""

from __future__ import annotations

import re

PART = re.compile(r"part-(\d{8})-[^-]+-(\d{6,})\.parquet")
ACCEPTED = re.compile(r"\.accepted-(\d{8})\.json")


def part_name(token: int, writer: str, number: int) -> str:
    """A file of rows.

    Args:
        token: Number of the claim on the study that its writer held.
        writer: Who that was.
        number: How many files he had written before.
    """
    return f"part-{token:08}-{writer}-{number:06}.parquet"


def is_part(name: str) -> bool:
    """Whether a file holds rows; hidden drafts do not."""
    return name.startswith("part-") and name.endswith(".parquet")


def token_of(name: str) -> int:
    """The claim that a file's writer held; 0 for files of versions before there were claims."""
    found = PART.fullmatch(name)
    return int(found[1]) if found else 0


def age_of(name: str) -> tuple[int, int]:
    """What puts files into the order in which they were written: the claim, then how many its writer wrote before."""
    found = PART.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def accepted_name(token: int) -> str:
    """The list of earlier files that whoever made a claim found."""
    return f".accepted-{token:08}.json"


def accepted_token(name: str) -> int | None:
    """The claim that a list belongs to; None for files that are no lists."""
    found = ACCEPTED.fullmatch(name)
    return int(found[1]) if found else None
