"""What a clipped checkpoint was made of, as its files and its model card say it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from clipsweep.trials.spec.clip import Clip

Format = Literal["dense", "factored"]
DENSE: Format = "dense"
FACTORED: Format = "factored"
RECIPE = "clipsweep"  # its key in the metadata of a safetensors file


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A clipped checkpoint, as it can be made again.

    Attributes:
        model: The source, as the user named it.
        revision: Of a hub name; None for its default branch.
        model_fingerprint: Of its files.
        clips: What is clipped.
        dtype: That the clips were made in.
        written_as: Dtype of the files.
        format: ``"dense"``, or ``"factored"``.
        study: Name of the study, its task and its trials; None where the clips were given by hand.
        texts_of: The trial whose texts told what matrices read; None where no clip looks at texts.
        versions: That wrote it.
    """

    model: str
    revision: str | None = None
    model_fingerprint: str
    clips: tuple[Clip, ...]
    dtype: str
    written_as: str
    format: Format = DENSE
    study: Mapping[str, Any] | None = None
    texts_of: str | None = None
    versions: Mapping[str, str | None] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def metadata(self) -> dict[str, str]:
        """For the header of a safetensors file."""
        return {RECIPE: json.dumps(self.document(), sort_keys=True)}
