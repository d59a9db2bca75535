"""How the surfaces of ``surfaces.py`` are made: the settings of each, and their evaluation by the engine alone."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from clipsweep.analysis.row.packing import pack_margins, pack_outcomes
from clipsweep.trials.base.files import default_cache, whole_file
from clipsweep.trials.base.memory import keep_freed_memory
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve, starts_of
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.find import EMBEDDED, find_checkpoint
from clipsweep.trials.models.load import load_model
from clipsweep.trials.models.settings import ModelSettings
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.rows.values import DataRow as Row
from clipsweep.trials.scores.judge import measure_margins, score_labels
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import rows_of_shapes
from clipsweep.trials.spec.trial import SPLITS, PromptSet
from clipsweep.trials.tasks.definition import Source, Splits, TaskDefinition, Wording
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.encode import encode_prompts
from clipsweep.trials.tokens.tokenizer import load_tokenizer
from tests.benchmarks.document import machine
from tests.benchmarks.surfaces import FACTS, FOLDER, FORMAT, SHARED, Axes, Clips, clips_of, facts_of, read_surface

PROMPTS_5M = "gptj-prompts-5m"
MICROBATCH, POINTS_AT_ONCE = 50, 12
FINE_RATES = (0.75, 0.9, 0.95, 0.975, 0.99)
PUBLISHED_RATES = (0.0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)
JOINT_RATES = (0.0, 0.75, 0.9, 0.95)
DEEP_RATES = (0.0, 0.9, 0.975, 0.99)
SINGLE_AND_GROUPED = ("attn", "mlp", "o", "fc_in", "fc_out")
DTYPE: Final = "float32"

_CLIP = pa.struct([("layer", pa.int32()), ("module", pa.string()), ("clip_rate", pa.float64())])
_SCHEMA = pa.schema(
    [
        ("clips", pa.list_(_CLIP)),
        *[(f"{split}_outcomes", pa.binary()) for split in SPLITS],  # as the results table packs them
        ("validation_margins", pa.binary()),  # as well
        *[(f"{split}_operations", pa.int64()) for split in SPLITS],  # of the whole split
        ("parameters_kept", pa.int64()),
        ("seconds", pa.float64()),
    ]
)


def unseen(row: Row) -> Row | None:
    """Leave out SST-2 rows that ``gptj-prompts-5m`` was trained on (its README says which)."""
    return None if hashlib.sha256(str(row["sentence"]).encode()).digest()[0] % 10 < 6 else row


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What a surface is, before it is evaluated.

    Attributes:
        name: Of the surface.
        model: ``"embedded"``, or the name of a folder of the shared models.
        task: Which rows, in which order and words.
        axes: What its points are.
    """

    name: str
    model: str
    task: TaskSettings
    axes: Axes


def _sst2(name: str, query: str, answers: tuple[str, str], test_size: int) -> TaskSettings:
    """SST-2 rows that the model never saw, in these words."""
    return TaskSettings(
        name=name,
        seed=49,
        validation_size=1000,
        test_size=test_size,
        definition=TaskDefinition(
            source=Source(path=str(SHARED / "data" / "sst2")),
            wording=Wording(query=query, answers=answers),
            classes={"0": 0, "1": 1},
            function=f"{__name__}:unseen",
        ),
    )


SST2_RELEASE_WORDS = _sst2("sst2-release-words", "text: {sentence}\n sentiment :", (" negative", " positive"), 2000)
SST2_RATING = _sst2("sst2-rating", "review: {sentence}\n rating :", (" bad", " good"), 1500)
SST2_TONE = _sst2("sst2-tone", "{sentence}\n tone :", (" negative", " positive"), 1000)
MRPC_WORDS = TaskSettings(
    name="mrpc-words",
    seed=49,
    validation_size=1000,
    test_size=1000,
    definition=TaskDefinition(
        source=Source(path=str(SHARED / "data" / "mrpc")),
        wording=Wording(query="first: {sentence1}\nsecond: {sentence2}\nlabel:", answers=(" false", " true")),
        classes={"0": 0, "1": 1},
        splits=Splits(test="test"),
    ),
)
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="sst2-release-words",
            model=PROMPTS_5M,
            task=SST2_RELEASE_WORDS,
            axes=Axes(
                layers=tuple(range(8)),
                modules=SINGLE_AND_GROUPED,
                clip_rates=FINE_RATES,
                shots=4,
                demo_seed=1,
            ),
        ),
        Recipe(
            name="sst2-qkvo",
            model=PROMPTS_5M,
            task=SST2_RATING,
            axes=Axes(
                layers=tuple(range(8)),
                modules=("q", "k", "v", "o"),
                clip_rates=FINE_RATES,
                shots=3,
                demo_seed=1,
            ),
        ),
        Recipe(
            name="sst2-joint",
            model=PROMPTS_5M,
            task=SST2_TONE,
            axes=Axes(layers=(3, 4, 5, 7), modules=("attn",), clip_rates=DEEP_RATES, max_clips=4, shots=2),
        ),
        Recipe(
            name="mrpc-words",
            model=PROMPTS_5M,
            task=MRPC_WORDS,
            axes=Axes(layers=tuple(range(8)), modules=SINGLE_AND_GROUPED, clip_rates=FINE_RATES),
        ),
        Recipe(
            name="embedded-joint",
            model=EMBEDDED,
            task=TaskSettings(name="episodes", seed=51, validation_size=1000, test_size=3000),
            axes=Axes(layers=(0, 1, 2, 3), modules=("mlp",), clip_rates=JOINT_RATES, max_clips=4, shots=2),
        ),
        Recipe(
            name="embedded-single",
            model=EMBEDDED,
            task=TaskSettings(name="episodes", seed=49, validation_size=1000, test_size=3000),
            axes=Axes(layers=tuple(range(6)), modules=("attn", "mlp"), clip_rates=PUBLISHED_RATES, shots=10),
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A loaded model with the rows of both splits."""

    engine: Engine
    card: ModelCard
    task: Task
    prompts: dict[str, Prompts]

    @classmethod
    def load(cls, recipe: Recipe, cache: Path, *, theory: bool = False) -> Bench:
        path = recipe.model if recipe.model == EMBEDDED else str(SHARED / "models" / recipe.model)
        folder = find_checkpoint(ModelSettings(path=path, dtype=DTYPE), cache)
        card, tokenizer = describe_checkpoint(folder, DTYPE, cache), load_tokenizer(folder)
        task = load_task(recipe.task, cache)
        wanted = PromptSet(shots=recipe.axes.shots, demo_seed=recipe.axes.demo_seed, split="")
        prompts = {
            split: encode_prompts(task, tokenizer, replace(wanted, split=split), card.context_length)
            for split in SPLITS
        }
        engine = Engine(load_model(folder, DTYPE, "cpu"), card, FactorCache(cache), theory=theory)
        return cls(engine=engine, card=card, task=task, prompts=prompts)

    def evaluate(self, points: Sequence[Clips]) -> list[dict[str, Any]]:
        """Rows of the surface's file."""
        scored = {
            split: self.engine.score_all(
                self.prompts[split], [resolve(clips, self.card) for clips in points], MICROBATCH
            )
            for split in SPLITS
        }
        return [
            {
                "clips": [{"layer": clip.layer, "module": clip.module, "clip_rate": clip.clip_rate} for clip in clips],
                "parameters_kept": resolve(clips, self.card).parameters_kept,
                "seconds": sum(_checked(scored[split][number]).seconds for split in SPLITS),
                **{key: value for split in SPLITS for key, value in self._judge(split, scored[split][number]).items()},
            }
            for number, clips in enumerate(points)
        ]

    def _judge(self, split: str, scored: LabelScores | Exception) -> dict[str, Any]:
        result = _checked(scored)
        gold = [query.gold for query in self.prompts[split].queries]
        scores = result.log_likelihoods.numpy()
        outcomes, _ = score_labels(scores, gold)
        found = {f"{split}_outcomes": pack_outcomes(outcomes), f"{split}_operations": result.operations}
        if split == "validation":
            found["validation_margins"] = pack_margins(measure_margins(scores, gold))
        return found

    def facts(self, recipe: Recipe) -> dict[str, Any]:
        """What decides the outcomes, and what a reader needs to understand them."""
        names = ("fingerprint", "model_type", "dtype", "n_layers", "hidden_size", "vocabulary_size", "context_length")
        known = {name: getattr(self.card, name) for name in (*names, "parameters_total", "weight_bytes")}
        facts = {
            "format": FORMAT,
            "name": recipe.name,
            "model": recipe.model,
            "task": recipe.task.name,
            "task_fingerprint": self.task.fingerprint,
            "axes": asdict(recipe.axes),
            "rows": {split: len(self.prompts[split].queries) for split in SPLITS},
            "microbatch": MICROBATCH,
            "card": {**known, "shapes": rows_of_shapes(self.card.shapes)},
        }
        as_read: dict[str, Any] = json.loads(json.dumps(facts))
        return as_read


def _checked(scored: LabelScores | Exception) -> LabelScores:
    """A trial's scores; a surface has no failed points."""
    if isinstance(scored, Exception):
        raise scored
    return scored


def make(recipe: Recipe) -> None:
    """Evaluate the points that are missing and put the surface into place once it is whole; then tell its figures.

    Until then it grows in the cache, where the same settings find it again.
    """
    torch.set_num_threads(1)
    keep_freed_memory()
    cache = default_cache()
    bench = Bench.load(recipe, cache)
    facts = bench.facts(recipe)
    draft, target = cache / "surfaces" / f"{recipe.name}.parquet", FOLDER / f"{recipe.name}.parquet"
    points = recipe.axes.points()
    rows = next((found for path in (target, draft) if (found := _known(path, facts))), [])
    known = {clips_of(row["clips"]) for row in rows}
    bench.engine.announce(starts_of([clip for clips in points for clip in clips[:1]], bench.card))
    for some in _chunks([clips for clips in points if clips not in known]):
        rows += bench.evaluate(some)
        _write(draft, rows, facts)
        spent = sum(row["seconds"] for row in rows)
        print(f"{recipe.name}: {len(rows)} of {len(points)} points, {spent:.0f} s", file=sys.stderr, flush=True)
    order = {clips: number for number, clips in enumerate(points)}
    _write(target, sorted(rows, key=lambda row: order[clips_of(row["clips"])]), facts)
    print(describe(target), file=sys.stderr, flush=True)


def _known(path: Path, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Points of a file that was made from the same settings, model and rows."""
    if not path.exists():
        return []
    table = pq.read_table(path)
    if {key: value for key, value in facts_of(table).items() if key != "machine"} != facts:
        print(f"{path} was made from other settings; its points are made again", file=sys.stderr)
        return []
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def _chunks(points: Sequence[Clips]) -> Iterator[Sequence[Clips]]:
    return (points[start : start + POINTS_AT_ONCE] for start in range(0, len(points), POINTS_AT_ONCE))


def _write(path: Path, rows: list[dict[str, Any]], facts: dict[str, Any]) -> None:
    metadata = {FACTS: json.dumps({**facts, "machine": machine()})}
    table = pa.Table.from_pylist(rows, schema=_SCHEMA.with_metadata(metadata))
    with whole_file(path) as written:
        pq.write_table(table, written, compression="zstd")


def describe(path: Path) -> str:
    """A surface's figures, in one line of a Markdown table."""
    surface = read_surface(path)
    best, chosen = int(np.argmax(surface.values)), int(np.argmax(surface.validation_scores))
    (n_points, n_validation), n_held_out = surface.validation.shape, surface.held_out.shape[1]
    cells = (
        surface.name,
        str(n_points),
        f"{n_validation:,} / {n_held_out:,}",
        f"{surface.baseline:.4f}",
        f"{surface.best:.4f} ({_named(surface.points[best])})",
        f"{100 * surface.gain_to_have:+.1f}",
        f"{surface.values[chosen]:.4f} ({_named(surface.points[chosen])})",
        f"{surface.seconds.sum() / 60:.0f} min",
        f"{path.stat().st_size / 1024:.0f} KiB",
    )
    return f"| {' | '.join(cells)} |"


def _named(clips: Sequence[Clip]) -> str:
    """A point in words."""
    return " + ".join(f"`{clip.module}` of {clip.layer} at {clip.clip_rate:g}" for clip in clips) or "baseline"
