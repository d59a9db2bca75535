"""What the names in a study file stand for, kept beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from clipsweep.trials.base.files import write_text
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.shape import rows_of_shapes, shapes_of_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the names in a study file stand for, kept as ``<dir>/identity.json``.

    With it the results can be read where neither the checkpoint nor the data is.

    Attributes:
        card: The model.
        task_fingerprint: The task with its rows.
        split_sizes: Rows of each split.
        dropped: Rows kept out of demonstrations and of validation because their text is in another split.
    """

    card: ModelCard
    task_fingerprint: str
    split_sizes: dict[str, int]
    dropped: dict[str, int]

    def write(self, folder: Path) -> None:
        """Write the file whole."""
        content = asdict(self)
        content["card"]["shapes"] = rows_of_shapes(self.card.shapes)
        write_text(folder / "identity.json", json.dumps(content, indent=1))

    @classmethod
    def read(cls, folder: Path) -> Identity | None:
        """Read it back; None where there is none."""
        path = folder / "identity.json"
        if not path.is_file():
            return None
        content = json.loads(path.read_text(encoding="utf-8"))
        shapes = shapes_of_rows(content["card"].pop("shapes"))
        content.setdefault("dropped", {"validation": content.pop("shared_texts", 0)})  # as 0.1.0 wrote it
        return cls(card=ModelCard(shapes=shapes, **content.pop("card")), **content)
