"""What each file of rows says of its study, so that the rows can be read where nothing else of the folder is left."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipsweep.analysis.store.part import OURS
from clipsweep.orchestrator.folder.stored import whole
from clipsweep.orchestrator.folder.subject_file import subject_document, subject_of
from clipsweep.orchestrator.space.subject import Subject
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import ClipsweepError, StoreError
from clipsweep.trials.base.passwords import hide_passwords

STUDY, SUBJECT = f"{OURS}study", f"{OURS}subject"
LONG = 2048  # characters from which on a note is compressed
COMPRESSED = "zlib:"  # what a compressed one begins with; Base64 follows
MEND = "Move the newest file away, or bring study.yaml and identity.json back from a copy."


def notes_of(study: Study, subject: Subject) -> dict[str, str]:
    """What files of rows say: the study as run, without passwords, and what its names stand for, both as JSON.

    They say nothing of a search's database: it is a cache, and its address, which may hold more than a password, is
    nobody's business where the rows travel.
    """
    said = study.model_copy(update={"search": study.search.model_copy(update={"storage": None})})
    content = {STUDY: hide_passwords(said.model_dump()), SUBJECT: subject_document(subject)}
    return {key: _packed(json.dumps(value)) for key, value in content.items()}


def study_in(notes: Mapping[str, str], folder: Path) -> Study | None:
    """The study that notes tell of; None where they do not.

    Args:
        notes: Of a file of rows.
        folder: Where that lies, for messages.

    Raises:
        StoreError: The note is damaged, or of a newer clipsweep.
    """
    content = _content(notes, STUDY, folder)
    try:
        return None if content is None else check_study(content)
    except ClipsweepError as error:
        raise StoreError(f"what a file of {folder} says of its study is none of this clipsweep: {error}") from error


def subject_in(notes: Mapping[str, str], folder: Path) -> Subject | None:
    """What the names in the study stand for; arguments and errors as of ``study_in``."""
    content = _content(notes, SUBJECT, folder)
    with whole(folder, MEND):
        return None if content is None else subject_of(content)


def _packed(text: str) -> str:
    """A text as it is, or compressed where it is long: Parquet's own metadata are not."""
    if len(text) < LONG:
        return text
    return COMPRESSED + base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _content(notes: Mapping[str, str], key: str, folder: Path) -> dict[str, Any] | None:
    """The mapping that a note holds."""
    text = notes.get(key)
    if text is None:
        return None
    try:
        if text.startswith(COMPRESSED):
            text = zlib.decompress(base64.b64decode(text.removeprefix(COMPRESSED), validate=True)).decode()
        return dict(json.loads(text))
    except (ValueError, TypeError, RecursionError, zlib.error) as error:
        raise StoreError(f"note {key} of a file in {folder} is damaged ({error}). {MEND}") from error
