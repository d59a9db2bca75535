"""What a study is about, kept beside its study file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clipsweep.orchestrator.folder.stored import is_there, read_json, whole
from clipsweep.orchestrator.space.subject import Subject, TaskFacts
from clipsweep.trials.base.files import write_text
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.shape import rows_of_shapes, shapes_of_rows

MEND = "Run the study again: it is written anew, and its rows stay."


def write_subject(path: Path, subject: Subject) -> None:
    """Write the file whole."""
    write_text(path, json.dumps(subject_document(subject), indent=1), within=path.parent)


def subject_document(subject: Subject) -> dict[str, Any]:
    """A subject as JSON has it."""
    card = asdict(subject.card) | {"shapes": rows_of_shapes(subject.card.shapes)}
    others = {name: asdict(facts) for name, facts in subject.others.items()}
    return {"card": card, **asdict(subject.first), **({"others": others} if others else {})}


def read_subject(path: Path) -> Subject | None:
    """Read it back; None where there is no file.

    Raises:
        StoreError: It is damaged.
    """
    if not is_there(path):
        return None
    content = read_json(path, MEND)
    with whole(path, MEND):
        return subject_of(content)


def subject_of(content: dict[str, Any]) -> Subject:
    """The subject of such a document, which is used up; a key that is missing or wrong raises what Python raises."""
    shapes = shapes_of_rows(content["card"].pop("shapes"))
    content.setdefault("dropped", {"validation": content.pop("shared_texts", 0)})  # as the first 0.1.0 wrote it
    others = {name: TaskFacts(**facts) for name, facts in content.pop("others", {}).items()}
    card = ModelCard(shapes=shapes, **content.pop("card"))
    return Subject(card=card, first=TaskFacts(**content), others=others)
