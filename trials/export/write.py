"""Write a clipped checkpoint: its weights file by file, then all else, and what makes it load at the very end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.base.files import write_text
from clipsweep.trials.checkpoint.config_file import CONFIG
from clipsweep.trials.checkpoint.weight_files import FACTORED_MANIFEST, WEIGHT_INDEX, WEIGHTS
from clipsweep.trials.clips.edit import ReadInputs
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.export.changes import Change, find_changes, kept_whole, make_tensors
from clipsweep.trials.export.draft_folder import check_empty, check_room, draft_folder
from clipsweep.trials.export.manifest import manifest_of, stand_in
from clipsweep.trials.export.plan import Plan, plan_files
from clipsweep.trials.export.recipe import FACTORED, Recipe
from clipsweep.trials.export.shards import metadata_of, write_shard
from clipsweep.trials.export.source import Source, open_source
from clipsweep.trials.export.text_files import config_in, copy_text_files, write_json
from clipsweep.trials.spec.resolved import ResolvedClips

README = "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A checkpoint to write.

    Attributes:
        folder: Of the source.
        clips: Resolved for its model.
        recipe: What is written, in which dtype and format.
        readme: The model card.
        read_inputs: Gives what matrices read, on the CPU, to the kinds that look at texts. It is first called when such
            a matrix is written, after all that can be refused before.
    """

    folder: Path
    clips: ResolvedClips
    recipe: Recipe
    readme: str
    read_inputs: ReadInputs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written.

    Attributes:
        weight_bytes: Of all tensors.
        changed: The parameters that changed, by name.
        whole: Those of them that stay whole although thin factors were asked for.
    """

    weight_bytes: int
    changed: tuple[str, ...]
    whole: tuple[str, ...]


def write_checkpoint(order: Order, out: Path, factors: FactorCache) -> Written:
    """Write a clipped checkpoint, whole or not at all.

    Files of weights are written one after the other, and each tensor by tensor: what is held at a time is one
    parameter, in the form of the files and in that of the model, and the factors of one matrix.

    Args:
        order: What.
        out: The folder; it must not be there, or be empty.
        factors: Makes or remembers the factors of the source's weights.

    Raises:
        SpecError: Thin factors are asked for, and no matrix is smaller as such.
        PlaceError: The folder is not empty, or the disk too small.
        ModelError: A file of the source is damaged, or cannot be edited in the form that it has.
        EvaluationError: The weights of a matrix, or its inputs, are not finite; or a kind looks at texts, and there are
            none.
        WriteError: The operating system refuses something, as on a full disk.
    """
    check_empty(out)
    recipe = order.recipe
    factored = recipe.format == FACTORED
    source = open_source(order.folder, recipe.dtype)
    changes = find_changes(source, order.clips, factored=factored)
    if factored and not any(change.rank for change in changes):
        raise SpecError(
            f"none of {', '.join(kept_whole(changes))} is smaller as two thin factors in a module of its own (high "
            f"ranks, fused matrices and experts are not), or its kind has no thin form; expected one at least. Take "
            f"--format dense."
        )
    plan = plan_files(source, changes, recipe.written_as, factored=factored)
    check_room(out, plan.n_bytes)
    with draft_folder(out) as draft:
        edit = partial(make_tensors, source, order.clips, factors=factors, read_inputs=order.read_inputs)
        _write_weights(draft, plan, recipe, edit)
        copy_text_files(order.folder, draft)
        write_text(draft / README, order.readme)
        _write_what_makes_it_load(draft, plan, source, recipe, changes)
    return Written(
        weight_bytes=plan.n_bytes,
        changed=tuple(change.parameter for change in changes),
        whole=tuple(kept_whole(changes)) if factored else (),
    )


def _write_weights(draft: Path, plan: Plan, recipe: Recipe, edit: partial[dict[str, Tensor]]) -> None:
    """Write the files of weights.

    A parameter that lies in several tensors is edited when the first of them is written, and the others are kept until
    it is their turn.
    """
    made: dict[str, Tensor] = {}

    def make(name: str) -> Tensor:
        if name not in made:
            made.update(edit(plan.changes[name]))
        return made.pop(name)

    for shard in plan.shards:
        write_shard(draft / shard.name, shard, make, metadata_of(shard.made_from) | recipe.metadata())


def _write_what_makes_it_load(
    draft: Path, plan: Plan, source: Source, recipe: Recipe, changes: tuple[Change, ...]
) -> None:
    """Write the index of the weights and the config, without which nothing loads."""
    if recipe.format == FACTORED:
        write_json(draft / FACTORED_MANIFEST, manifest_of(source, plan, recipe, changes))
        write_json(draft / CONFIG, config_in(source.folder, recipe.written_as, stand_in()))
        return
    if [shard.name for shard in plan.shards] != [WEIGHTS]:
        counts = {"total_size": plan.n_bytes, "total_parameters": plan.n_parameters}
        write_json(draft / WEIGHT_INDEX, {"metadata": counts, "weight_map": plan.weight_map})
    write_json(draft / CONFIG, config_in(source.folder, recipe.written_as, {}))
