"""Write a study's winner, or clips given by hand, as a checkpoint of its own."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from clipsweep.analysis.row.row import clip_record
from clipsweep.analysis.winners.point import describe_clips
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.take_home.evidence import compared_words, study_document, study_evidence
from clipsweep.orchestrator.take_home.pick_trial import Picked, pick_trial, reading_kinds
from clipsweep.orchestrator.words import Say, say_nothing
from clipsweep.trials.base.errors import ModelError, SpecError, unknown_name
from clipsweep.trials.base.os_words import check_cache
from clipsweep.trials.base.versions import recorded_versions
from clipsweep.trials.checkpoint.weight_files import stored_tensors
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.export.draft_folder import check_empty
from clipsweep.trials.export.recipe import DENSE, FACTORED, Format, Recipe
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.find import find_checkpoint
from clipsweep.trials.models.settings import Dtype, ModelSettings
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import TEST, TrialSpec
from clipsweep.trials.tasks.task import Task

if TYPE_CHECKING:
    from clipsweep.trials.clips.edit import ReadInputs

ClipOf = Callable[[ModelCard], Clip]  # a clip, once the model is known
FORMATS, DTYPES = get_args(Format), get_args(Dtype)
RUN_IN = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # by the name that safetensors has


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How a checkpoint is wanted.

    Attributes:
        out: Its folder.
        format: ``"dense"`` or ``"factored"``.
        dtype: Of its files; None for that of the study, or else of the source's files.
        check: Whether it is scored on the rows of its trials and compared with what is stored.
    """

    out: Path
    format: Format = DENSE
    dtype: str | None = None
    check: bool = False

    def __post_init__(self) -> None:
        """Refuse names that there are not."""
        if self.format not in FORMATS:
            raise SpecError(unknown_name("format", self.format, FORMATS))
        if self.dtype is not None and self.dtype not in DTYPES:
            raise SpecError(unknown_name("dtype", self.dtype, DTYPES))


def apply_study(
    snapshot: Snapshot, trial: str | None, wish: Wish, cache: Path, say: Say = say_nothing
) -> dict[str, Any]:
    """Write the winner of a study, or a trial of it.

    In another dtype than the study's it is always scored and compared, so that it is known what that turns. Clips of a
    kind that looks at texts are made by those of the first trial: of the winner's first demonstration seed.

    Args:
        snapshot: The study.
        trial: Identity of a trial, or its first digits; None for the winner.
        wish: How.
        cache: For factors and file hashes.
        say: Shows the user what is waited for.

    Returns:
        The document of ``clipsweep apply --json``.

    Raises:
        ClipsweepError: There is nothing to apply, the model's files have changed since, or it cannot be written.
    """
    from clipsweep.orchestrator.take_home.check_stored import check_stored  # here, as it loads torch

    opened = snapshot.opened
    picked = pick_trial(snapshot, trial)
    check_empty(wish.out)
    check_cache(cache)
    settings = opened.study.model_settings()
    say(f"looking at the files of {settings.path} …")
    folder = find_checkpoint(settings, cache)
    card = describe_checkpoint(folder, settings.dtype, cache)
    if card.fingerprint != opened.subject.card.fingerprint:
        raise ModelError(
            f"the files of {settings.path} have changed since {opened.folder} was run (fingerprint "
            f"{card.fingerprint[:12]}, stored {opened.subject.card.fingerprint[:12]}); expected those that its trials "
            f"clipped. Put them back, or run the study again in another folder."
        )
    checked = wish.check or wish.dtype not in {None, settings.dtype}
    wanted = picked.by_task if checked or picked.reading_kinds else []
    tasks = [opened.load_task(cache, each.rows[0].task) for each in wanted]
    source = _Source(settings=settings, folder=folder, card=card)
    recipe, document = _write(source, picked.clips, wish, cache, say, _of_study(snapshot, picked, source, tasks, say))
    if checked:
        checks = [
            check_stored(wish.out, recipe, opened, each, task, cache, say)
            for each, task in zip(wanted, tasks, strict=True)
        ]
        document["check"] = {
            "differ": sum(each["differ"] for each in checks),
            "trials": [trial for each in checks for trial in each["trials"]],
        }
    return document


def apply_clips(
    settings: ModelSettings,
    clips: Sequence[Callable[[ModelCard], Clip]],
    wish: Wish,
    cache: Path,
    say: Say = say_nothing,
) -> dict[str, Any]:
    """Write a checkpoint with clips that are given by hand, without a study.

    Args:
        settings: The source; its dtype does not count, but that of the wish, or else that of the source's files.
        clips: What is clipped, each told the model; no two share a matrix.
        wish: How; without a check.
        cache: For factors and file hashes.
        say: Shows the user what is waited for.

    Returns:
        The document of ``clipsweep apply --json``.

    Raises:
        ClipsweepError: The model lacks a matrix, the clips change nothing or look at texts, or it cannot be written.
    """
    check_empty(wish.out)
    check_cache(cache)
    say(f"looking at the files of {settings.path} …")
    folder = find_checkpoint(settings, cache)
    settings = replace(settings, dtype=wish.dtype or stored_dtype(folder))
    card = describe_checkpoint(folder, settings.dtype, cache)
    resolved = tuple(clip_of(card) for clip_of in clips)
    if reading := reading_kinds(resolved):
        raise SpecError(
            f"kind of clip {reading[0]!r} depends on what matrices read over the prompts of a task, and without a "
            f"study there are none; expected a study that has run it. Set space.kinds: [{reading[0]}] in one, run it, "
            f"and apply that: clipsweep apply DIR -o OUT."
        )
    TrialSpec(model=settings.path, task="", shots=0, demo_seed=0, split=TEST, clips=resolved)  # refuses what overlaps
    source = _Source(settings=settings, folder=folder, card=card)
    return _write(source, resolved, wish, cache, say, _Origin())[1]


def stored_dtype(folder: Path) -> str:
    """The dtype that most weights of a checkpoint have in its files, or float32 where a model runs in none of those."""
    counts: Counter[str] = Counter()
    for tensor in stored_tensors(folder).values():
        counts[tensor.dtype] += tensor.stop - tensor.start
    return RUN_IN.get(counts.most_common(1)[0][0], "float32")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The checkpoint that is clipped: as the user names it, where it lies, and what it is."""

    settings: ModelSettings
    folder: Path
    card: ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where clips come from; nothing of it where they are given by hand.

    Attributes:
        study: The study and its trials, as the recipe holds them.
        evidence: Lines of Markdown for the card.
        texts_of: The trial whose texts the clips look at; None where they look at none.
        read_inputs: Gives what matrices read over them.
    """

    study: Mapping[str, Any] | None = None
    evidence: list[str] = field(default_factory=list)
    texts_of: str | None = None
    read_inputs: ReadInputs | None = None


def _of_study(snapshot: Snapshot, picked: Picked, source: _Source, tasks: Sequence[Task], say: Say) -> _Origin:
    origin = _Origin(study=study_document(snapshot, picked), evidence=study_evidence(snapshot, picked))
    if not picked.reading_kinds:
        return origin
    from clipsweep.orchestrator.take_home.read_inputs import inputs_of_trial  # here, as it loads torch

    first, clips = picked.rows[0], resolve(picked.clips, source.card)
    read_inputs = inputs_of_trial(snapshot.opened, first, clips, source.folder, tasks[0], say)
    return replace(origin, texts_of=first.trial_id, read_inputs=read_inputs)


def _write(
    source: _Source, clips: tuple[Clip, ...], wish: Wish, cache: Path, say: Say, origin: _Origin
) -> tuple[Recipe, dict[str, Any]]:
    """Write the checkpoint; what it was made of, and the document that says what was written."""
    resolved = resolve(clips, source.card)
    if not resolved.edits:
        raise SpecError(
            f"these clips leave every matrix of {source.settings.path} as it is; expected one at least that changes. "
            f"Raise a clip rate."
        )
    say("loading torch …")
    from clipsweep.trials.clips.factor_cache import FactorCache
    from clipsweep.trials.export.model_card import model_card, public_name
    from clipsweep.trials.export.write import Order, write_checkpoint

    began = time.perf_counter()
    recipe = Recipe(
        model=public_name(source.settings.path),
        revision=source.settings.revision,
        model_fingerprint=source.card.fingerprint,
        clips=clips,
        dtype=source.settings.dtype,
        written_as=wish.dtype or source.settings.dtype,
        format=wish.format,
        study=origin.study,
        texts_of=origin.texts_of,
        versions=recorded_versions(),
    )
    readme = model_card(recipe, source.folder, wish.out, origin.evidence)
    order = Order(folder=source.folder, clips=resolved, recipe=recipe, readme=readme, read_inputs=origin.read_inputs)
    say(f"writing {wish.out} …")
    written = write_checkpoint(order, wish.out, FactorCache(cache, memory_bytes=0))
    document = {
        "out": str(wish.out),
        "format": recipe.format,
        "dtype": recipe.written_as,
        "clips": [clip_record(clip) for clip in clips],
        "changed": list(written.changed),
        "kept_whole": list(written.whole),
        "texts_of": recipe.texts_of,
        "weight_bytes": written.weight_bytes,
        "seconds": time.perf_counter() - began,
        "check": None,
    }
    return recipe, document


def _matrices(count: int) -> str:
    return f"{count:,} weight matri{'x' if count == 1 else 'ces'}"


def describe_applied(document: Mapping[str, Any]) -> str:
    """The document in words."""
    clips = describe_clips(Clip(**clip) for clip in document["clips"])
    size = f"{document['weight_bytes'] / 2**20:,.1f} MiB of weights in {document['dtype']}"
    lines = [f"wrote     {document['out']}: {clips} ({_matrices(len(document['changed']))}), {size}"]
    if document["format"] == FACTORED:
        thin = len(document["changed"]) - len(document["kept_whole"])
        lines.append(f"factored  {_matrices(thin)}, as two thin factors; clipsweep.load_factored loads it")
    whole = "its kind has no thin form, thin factors would not be smaller, or it is fused or holds experts"
    lines += [f"whole     {name}: {whole}" for name in document["kept_whole"]]
    if document["texts_of"] is not None:
        lines.append(f"texts     those that trial {document['texts_of']} read; trials of other seeds had other weights")
    if document["check"] is not None:
        lines += [f"check     {compared_words(each)}" for each in document["check"]["trials"]]
    return "\n".join(lines)
