"""Folders of studies with as many rows as a benchmark wants, made without running a trial: a grid of GPT-J.

The trials are real ones of a real study, with their identities; what they scored is drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from clipsweep.analysis.row.arrays import make_array
from clipsweep.analysis.row.row import SCHEMA, SCHEMA_VERSION, Record, clip_record
from clipsweep.analysis.store.part import Part, write_part
from clipsweep.orchestrator.folder.end import End, write_end
from clipsweep.orchestrator.folder.notes import notes_of
from clipsweep.orchestrator.folder.open_study import OpenStudy, open_study, write_study
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.space.subject import Subject, TaskFacts
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.versions import recorded_versions
from clipsweep.trials.clips.identity import identify
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape
from clipsweep.trials.spec.trial import PromptSet

LAYERS, WIDTH, EXAMPLES = 28, 4096, 400
MODULES = ["attn", "mlp", "all", "q", "k", "v", "o", "fc_in", "fc_out"]
CHUNK = 16_384  # rows that are made at once
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Axes(NamedTuple):
    """How large a grid of 252 sites is.

    Attributes:
        rates: How many clip rates.
        shots: Numbers of demonstrations.
        seeds: How many seeds draw them.
    """

    rates: int
    shots: tuple[int, ...] = (4,)
    seeds: int = 1


def make_study(folder: Path, axes: Axes) -> OpenStudy:
    """Write a study file of a grid; no rows."""
    content: dict[str, Any] = {
        "name": folder.name,
        "model": {"path": "EleutherAI/gpt-j-6b", "dtype": "float16"},
        "task": {"name": "sst2", "validation_size": EXAMPLES, "test_size": 0, "seed": 0},
        "space": {
            "layers": "all",
            "modules": MODULES,
            "shots": list(axes.shots),
            "demo_seeds": list(range(axes.seeds)),
            "clip_rates": [number / (axes.rates + 1) for number in range(1, axes.rates + 1)],
        },
        "cluster": {"replicas": 0, "microbatch": 32},
    }
    facts = TaskFacts(task_fingerprint="0" * 32, split_sizes={"validation": EXAMPLES, "test": 0}, dropped={})
    subject = Subject(card=_card(), first=facts)
    opened = open_study(check_study(content), StudyFolder(folder), subject)
    folder.mkdir(parents=True, exist_ok=True)
    write_study(opened)
    write_end(opened.folder, End(stopped_by=None))
    return opened


def _card() -> ModelCard:
    """A model with the shapes of GPT-J 6B."""
    square, wide, narrow = Shape(WIDTH, WIDTH, 1), Shape(4 * WIDTH, WIDTH, 1), Shape(WIDTH, 4 * WIDTH, 1)
    roles = {**dict.fromkeys(("q", "k", "v", "o"), square), "fc_in": wide, "fc_out": narrow}
    return ModelCard(
        fingerprint="1" * 32,
        model_type="gptj",
        dtype="float16",
        n_layers=LAYERS,
        hidden_size=WIDTH,
        vocabulary_size=50400,
        context_length=2048,
        parameters_total=6_050_882_784,
        weight_bytes=12_101_765_568,
        shapes={(layer, role): (shape,) for layer in range(LAYERS) for role, shape in roles.items()},
    )


def store_rows(opened: OpenStudy, rows_per_file: int, trials: int | None = None) -> int:
    """Store a complete row for each trial of a study, in files of so many rows; returns how many files.

    Args:
        opened: The study; its validation split has ``EXAMPLES`` rows.
        rows_per_file: Of each file but the last.
        trials: How many of them, from the first visited; None for all.
    """
    opened.folder.trials.mkdir(parents=True)
    waiting: list[pa.Table] = []
    count = number = 0
    for table in _tables(opened, trials):
        waiting.append(table)
        count += len(table)
        while count >= rows_per_file or (count and len(table) < CHUNK):
            whole = pa.concat_tables(waiting)
            path = opened.folder.trials / f"part-made-{number:06}.parquet"
            write_part(path, Part(whole.slice(0, rows_per_file), notes=notes_of(opened.study, opened.subject)))
            number, waiting = number + 1, [whole.slice(rows_per_file)]
            count = len(waiting[0])
    return number


def _tables(opened: OpenStudy, limit: int | None) -> Iterator[pa.Table]:
    """The rows of every trial, in the order in which a run visits them, so many at a time."""
    trials, rng, begun = islice(_trials(opened), limit), np.random.default_rng(0), 0
    while chunk := list(islice(trials, CHUNK)):
        yield _table(opened, chunk, rng, begun)
        begun += len(chunk)
    yield pa.Table.from_arrays([pa.nulls(0, field.type) for field in SCHEMA], schema=SCHEMA)


def _trials(opened: OpenStudy) -> Iterator[Record]:
    """What tells one trial from another, as columns."""
    space, card, task = opened.space, opened.subject.card, opened.subject.first.task_fingerprint
    clips: list[tuple[Clip, ...]] = [(), *(space.visited_clips(number) for number in range(space.n_clips))]
    effects = [resolve(each, card) for each in clips]
    for shots, seed in product(space.shots, space.demo_seeds):
        prompts = PromptSet(shots=shots, demo_seed=seed, split="validation")
        for each, effect in zip(clips, effects, strict=True):
            single = each[0] if each else None
            yield {
                "trial_id": identify(prompts, effect.fingerprint, card, task),
                "shots": shots,
                "demo_seed": seed,
                "clips": [clip_record(clip) for clip in each],
                "layer": single and single.layer,
                "module": single and single.module,
                "clip_rate": single and single.clip_rate,
                "parameters_kept": effect.parameters_kept,
            }


def _table(opened: OpenStudy, trials: Sequence[Record], rng: np.random.Generator, begun: int) -> pa.Table:
    """Rows of some trials with drawn scores."""
    margins = rng.standard_normal((len(trials), EXAMPLES), dtype=np.float32).astype("<f2") + np.float16(0.3)
    outcomes = margins > 0
    finished = [BEGAN + timedelta(seconds=begun + number) for number in range(1, len(trials) + 1)]
    drawn: dict[str, Sequence[Any]] = {
        "accuracy": outcomes.mean(axis=1).tolist(),
        "macro_f1": rng.random(len(trials)).tolist(),
        "gold_logprob": (-rng.random(len(trials))).tolist(),
        "calibration_error": rng.random(len(trials)).tolist(),
        "outcomes": [row.tobytes() for row in np.packbits(outcomes, axis=1)],
        "margins": [row.tobytes() for row in margins],
        "seconds": rng.random(len(trials)).tolist(),
        "started_at": [time - timedelta(seconds=1) for time in finished],
        "finished_at": finished,
    }
    same = _same(opened)
    columns = []
    for field in SCHEMA:
        if field.name in drawn:
            values = drawn[field.name]
        elif field.name in same:
            values = [same[field.name]] * len(trials)
        else:
            values = [trial.get(field.name) for trial in trials]
        columns.append(make_array(values, field.type))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _same(opened: OpenStudy) -> Record:
    """What all rows have in common."""
    context, space = opened.row_context, opened.space
    return {
        **asdict(context),
        "state": "complete",
        "attempt": 1,
        "model": space.model,
        "task": space.task,
        "split": "validation",
        "n_examples": EXAMPLES,
        "operations": 10**12,
        "engine_path": "blocks",
        "microbatch": 32,
        "replica": "replica-0",
        "node": "node",
        "device": "cuda",
        "versions": recorded_versions(),
        "schema_version": SCHEMA_VERSION,
        "demonstrations": 4,
    }
