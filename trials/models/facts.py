"""What a checkpoint's config says of its model: found on the meta device once, then remembered in the cache."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsweep.trials.base.files import read_note, write_note
from clipsweep.trials.base.versions import package_version
from clipsweep.trials.spec.shape import Shape, rows_of_shapes, shapes_of_rows

if TYPE_CHECKING:
    from clipsweep.trials.models.matrices import Layout

FACTS_VERSION = 1  # raised when find_layout finds other matrices, or when the facts below change
UNLIMITED_CONTEXT = 2**20  # for models whose config states no longest sequence: more than any prompt has


def model_facts(folder: Path, cache: Path) -> dict[str, Any]:
    """Fields of a ``ModelCard`` that the config alone determines.

    The second time, neither torch nor transformers is imported.

    Raises:
        ModelError: transformers cannot build the model, or has no matrices that can be clipped in it.
    """
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    digest.update(f" {package_version('transformers')} {FACTS_VERSION}".encode())
    note = cache / "shapes" / f"{digest.hexdigest()[:32]}.json"
    known = read_note(note)
    if known is None:
        from clipsweep.trials.models.load import empty_model  # here, as it loads torch and transformers

        facts = facts_of(empty_model(folder))
        known = {**facts, "shapes": rows_of_shapes(facts["shapes"])}
        write_note(note, known)
    return {**known, "shapes": shapes_of_rows(known["shapes"])}


def facts_of(model: Any) -> dict[str, Any]:
    """The same of a model at hand, which may be on the meta device."""
    from clipsweep.trials.models.find_layout import find_layout  # here, as it loads torch

    config = model.config.get_text_config(decoder=True)
    shapes = _shapes(find_layout(model))
    mixture = any(shape.count > 1 for held in shapes.values() for shape in held)
    return {
        "model_type": model.config.model_type,
        "n_layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "vocabulary_size": config.vocab_size,
        "context_length": _context_length(config),
        "experts_per_token": getattr(config, "num_experts_per_tok", None) or 1 if mixture else 1,
        "parameters_total": sum(parameter.numel() for parameter in model.parameters()),
        "shapes": shapes,
    }


def _shapes(layout: Layout) -> dict[tuple[int, str], tuple[Shape, ...]]:
    """Shapes by layer and role, with how many matrices have each."""
    shapes: dict[tuple[int, str], tuple[Shape, ...]] = {}
    for layer_and_role, matrices in layout.matrices.items():
        counted = Counter((matrix.rows, matrix.cols) for matrix in matrices)
        shapes[layer_and_role] = tuple(Shape(rows, cols, count) for (rows, cols), count in counted.items())
    return shapes


def _context_length(config: Any) -> int:
    """Longest sequence: learned or trained positions; Bloom, which has neither, notes what it was trained on."""
    stated = (getattr(config, name, None) for name in ("max_position_embeddings", "seq_length"))
    return next((length for length in stated if length), UNLIMITED_CONTEXT)
