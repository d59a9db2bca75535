"""Which files of a table count: a process that lost the study, and wakes, may still put one into place.

A file's name carries the number of the claim under which it was written. Whoever claims the study after another lists
the files that he finds, and those alone count from then on, besides what is written under his claim or a later one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clipsweep.analysis.store.part_names import accepted_name, accepted_token, is_part, token_of
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.base.files import write_text
from clipsweep.trials.base.os_words import word_os_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Which files count.

    Attributes:
        token: The claim since which all files count; 0 where nobody has taken the study over from another.
        accepted: Names of files of earlier claims that count.
    """

    token: int = 0
    accepted: frozenset[str] = frozenset()

    def counts(self, name: str) -> bool:
        """Whether the rows of a file count."""
        return not self.token or name in self.accepted or token_of(name) >= self.token

    def write(self, folder: Path) -> None:
        """Let all readers know; lists of earlier claims are removed, as the newest decides."""
        content = {"token": self.token, "accepted": sorted(self.accepted)}
        write_text(folder / accepted_name(self.token), json.dumps(content, indent=0))
        for name in os.listdir(folder):
            token = accepted_token(name)
            if token is not None and token < self.token:
                (folder / name).unlink(missing_ok=True)


def names_in(folder: Path) -> list[str]:
    """The files that are there, in order; a folder that may not be read is no empty one.

    Raises:
        StoreError: It may not be read.
    """
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(word_os_error(error, f"reading {folder}")) from error


def newest_token(folder: Path) -> int:
    """The highest claim that a file there carries; 0 where none does."""
    names = names_in(folder)
    return max((max(token_of(name), accepted_token(name) or 0) for name in names), default=0)


def look(folder: Path, known: Fence) -> tuple[list[str], Fence]:
    """The files of rows that are there, and which of them count.

    A folder is listed name by name. Where files are merged meanwhile, the new file may be missed and the old ones
    be gone. So it is listed again until nothing is gone: what came after is in the second list.

    Args:
        folder: Of the table.
        known: What was last known of them; of a list that was read before nothing is read again.

    Raises:
        StoreError: The folder, or the newest list, cannot be read.
    """
    names = names_in(folder)
    while True:
        before, names = names, names_in(folder)
        if not set(before) <= set(names):
            continue
        fence = _newest_fence(folder, names, known)
        if fence is not None:
            return [name for name in names if is_part(name)], fence


def _newest_fence(folder: Path, names: Iterable[str], known: Fence) -> Fence | None:
    """What the newest list says; None where that was removed meanwhile, for a newer one."""
    newest = max((accepted_token(name) or 0 for name in names if name.startswith(".")), default=0)
    if newest <= known.token:
        return known
    path = folder / accepted_name(newest)
    try:
        content = json.loads(path.read_bytes())
        return Fence(token=int(content["token"]), accepted=frozenset(map(str, content["accepted"])))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(word_os_error(error, f"reading {path}")) from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StoreError(
            f"{path} is damaged: expected the names of the files that count. Move it away; then all of them do, "
            f"also what a run wrote after another had taken over."
        ) from error
