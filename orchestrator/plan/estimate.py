"""What a study will cost: operations, hours and memory, before any model is loaded."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.plan.ahead import Ahead, expected_start, first_rows, look_ahead, search_notes
from clipsweep.orchestrator.plan.prepare import Prepared, check_trials, default_folder, prepare
from clipsweep.orchestrator.study.schema import Study
from clipsweep.orchestrator.words import format_seconds
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.cost import CostModel, Extent, measure_extents
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.resolved import ResolvedClips
from clipsweep.trials.spec.start import Start
from clipsweep.trials.spec.trial import PromptSet, TrialSpec

ENGINE_SHARE = 0.4
MEASURED_SECONDS = 0.5
SAMPLED_ROWS = 1000
ROWS_TO_TRUST = 8
# Dense rates in TFLOP/s for half precision and float32 (without TF32), from NVIDIA's data sheets; the first name that a
# card's name contains counts.
GPU_TERAFLOPS = {
    "B200": (2250, 80),
    "GH200": (989, 67),
    "H200": (989, 67),
    "H100": (989, 67),
    "L40S": (362, 91.6),
    "A100": (312, 19.5),
    "4090": (165, 82.6),
    "A10": (125, 31.2),
    "V100": (125, 15.7),
    "L4": (121, 30.3),
    "3090": (71, 35.6),
    "T4": (65, 8.1),
}
TYPICAL_QUERY, TYPICAL_DEMONSTRATION = 40, 30  # tokens, where none have been counted
LEAST_SHARE = 0.005  # of a whole pass: what a trial costs however little it runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast a replica is expected to be.

    Attributes:
        operations_per_second: Floating-point operations, as the cost model counts them.
        source: Where the figure comes from.
        replicas: How many replicas are expected.
    """

    operations_per_second: float
    source: str
    replicas: int


def work_ahead(opened: OpenStudy, ahead: Ahead) -> float:
    """What the missing trials cost, as ``RelativeWork`` tells it."""
    cost_of, n_rows = RelativeWork(opened), opened.subject.split_sizes["validation"]
    begun, card = first_rows(opened) or n_rows, opened.subject.card
    costs = (count * cost_of(spec, resolve(spec.clips, card)) for spec, count in ahead.missing.items())
    return sum(costs) * begun / n_rows


class RelativeWork:
    """What a trial costs next to others of its study, by the cost model on prompts of typical length.

    The untouched model counts as a whole pass, in which the activations for the others are captured.
    """

    def __init__(self, opened: OpenStudy) -> None:
        self._card = opened.subject.card
        self._cost = CostModel(self._card)
        self._sizes = opened.subject.split_sizes
        self._shares: dict[tuple[int, Start], float] = {}

    def __call__(self, spec: TrialSpec, clips: ResolvedClips) -> float:
        """Examples, times the share of a whole pass that the trial of these clips runs."""
        key = (spec.shots, expected_start(clips))
        if key not in self._shares:
            self._shares[key] = self._share(*key)
        return self._shares[key] * self._sizes[spec.split]

    def _share(self, shots: int, start: Start) -> float:
        if start.block == self._card.n_layers:
            return 1.0
        before = TYPICAL_DEMONSTRATION * shots
        query = Extent(sequences=1, tokens=TYPICAL_QUERY, before=before, answers=1, logits=2)
        return max(LEAST_SHARE, self._cost.trial([query], start) / self._cost.trial([query], Start(block=0)))


def plan_study(study: Study, folder: Path | None, cache: Path) -> dict[str, Any]:
    """What a run would do: trials, operations, hours and memory expected.

    Returns:
        Counts, ``operations``, ``hours`` at ``speed`` on so many ``replicas``, bytes on each replica and on disk, and
        the folder. Trials on the test split are counted at most, as the winners are not known.
    """
    prepared = prepare(study, folder or default_folder(study), cache)
    opened, card = prepared.opened, prepared.opened.subject.card
    ledger = Ledger(opened)
    ahead = look_ahead(opened, ledger)
    missing = ahead.missing
    notes = check_trials(prepared, missing) + search_notes(opened)
    counts = _Counts(prepared)
    operations = sum(count * counts.trial(spec) for spec, count in missing.items())
    tests = _expected_tests(opened, missing) if opened.subject.tested else []
    operations += sum(map(counts.trial, tests))
    shared = counts.shared() if missing else 0.0
    speed = expect_speed(opened, ledger)
    n_matrices, factor_bytes = _factors(opened)
    return {
        "points": ahead.total if opened.is_searched else len(opened.space),
        "trials": ahead.total,
        "trials_to_run": sum(missing.values()),
        "test_trials_at_most": len(tests),
        "operations": operations + speed.replicas * shared,
        "hours": (operations / speed.replicas + shared) / speed.operations_per_second / 3600,
        "replicas": speed.replicas,
        "operations_per_second_of_each": speed.operations_per_second,
        "speed": speed.source,
        "weight_bytes_per_replica": card.weight_bytes,
        "activation_bytes_per_replica": counts.activation_bytes(),
        "activation_budget": study.cluster.activation_budget,
        "matrices_to_factor_at_most": n_matrices,
        "factor_bytes_on_disk": factor_bytes,
        "matrices_to_measure": _matrices_to_measure(opened),
        "notes": notes,
        "dir": str(opened.folder),
    }


def describe_plan(plan: dict[str, Any]) -> str:
    """The plan in words, a line for each fact."""
    sizes = {name: decimal(plan[name]) for name in plan if "_bytes" in name}
    budget = plan["activation_budget"]
    shown_budget = budget if budget == "auto" else decimal(budget)
    measured = plan["matrices_to_measure"]
    choice = f"chosen first, by condition numbers of {measured} matrices; until then costs are told for middling ones"
    return "\n".join(
        [
            f"points      {plan['points']}, which are {plan['trials']} trials; {plan['trials_to_run']} of them to run, "
            f"and at most {plan['test_trials_at_most']} on test",
            *([f"layers      {choice}"] if measured else []),
            f"operations  {plan['operations']:.3g}",
            f"time        {format_seconds(3600 * plan['hours'])} on {plan['replicas']} replicas at "
            f"{plan['operations_per_second_of_each'] / 1e12:.3g} TFLOP/s each ({plan['speed']})",
            f"memory      on each replica {sizes['weight_bytes_per_replica']} of weights and, to hold all, "
            f"{sizes['activation_bytes_per_replica']} of activations (activation_budget: {shown_budget})",
            f"besides     the SVD of {plan['matrices_to_factor_at_most']} matrices, but for those in the cache: "
            f"{sizes['factor_bytes_on_disk']} on disk",
            f"folder      {plan['dir']}",
            *(f"note        {note}" for note in plan["notes"]),
        ]
    )


class _Counts:
    """Operations of trials, by prompts that are tokenised once; a large test split is sampled."""

    def __init__(self, prepared: Prepared) -> None:
        from clipsweep.trials.models.load import load_tokenizer

        self._prepared = prepared
        self._card = prepared.opened.subject.card
        self._cost = CostModel(self._card)
        self._tokenizer = load_tokenizer(prepared.checkpoint)
        self._size = int(prepared.opened.study.cluster.microbatch)
        self._prompts: dict[PromptSet, tuple[Any, float]] = {}
        self._known: dict[tuple[PromptSet, Start], float] = {}

    def trial(self, spec: TrialSpec) -> float:
        """Operations of one trial."""
        key = (spec.prompt_set, expected_start(resolve(spec.clips, self._card)))
        if key not in self._known:
            prompts, scale = self._read(spec.prompt_set)
            self._known[key] = scale * self._cost.trial(measure_extents(prompts, self._size), key[1])
        return self._known[key]

    def shared(self) -> float:
        """Operations of the untouched model's passes, which every replica runs once."""
        return sum(
            scale * self._cost.base(measure_extents(prompts, self._size)) for prompts, scale in self._prompts.values()
        )

    def activation_bytes(self) -> int:
        """Bytes of all that is captured of the largest prompt set, the prefix's keys included."""
        card, space = self._card, self._prepared.opened.space
        parts = sum(resolve([clip], card).start.reuse is not None for clip in space.starts())
        width = (len({layer for layer, _ in space.sites}) + parts) * card.hidden_size
        keys = 2 * sum(shape.rows for (_, role), held in card.shapes.items() if role == "k" for shape in held)
        held = [0.0]
        for prompts, scale in self._prompts.values():
            tokens = scale * sum(len(tokens) for query in prompts.queries for tokens in prompts.sequences(query))
            held.append(tokens * width + len(prompts.prefix) * (keys + width))
        return round(max(held) * card.weight_bytes / max(card.parameters_total, 1))

    def _read(self, wanted: PromptSet) -> tuple[Any, float]:
        """Prompts, and by how much they stand for more."""
        from clipsweep.trials.tasks.encode import encode_prompts

        if wanted not in self._prompts:
            rows = len(self._prepared.task.splits[wanted.split])
            sampled = min(rows, SAMPLED_ROWS)
            prompts = encode_prompts(
                self._prepared.task, self._tokenizer, wanted, self._card.context_length, range(sampled)
            )
            self._prompts[wanted] = prompts, rows / sampled
        return self._prompts[wanted]


def expect_speed(opened: OpenStudy, ledger: Ledger) -> Speed:
    """How fast each replica is expected to be: as this study's trials were, else guessed from the machine."""
    cluster = opened.study.cluster
    gpus = [] if cluster.address else _gpu_names()
    if cluster.replicas == "auto":
        available = len(gpus) / cluster.gpus_per_replica if gpus else (os.cpu_count() or 1) / cluster.cpus_per_replica
        replicas = max(1, int(available))
    else:
        replicas = max(1, cluster.replicas)
    rows = [row for row in ledger.rows.values() if row.operations and row.seconds]
    heaviest = max((row.operations for row in rows), default=0)
    speeds = [row.operations / row.seconds for row in rows if 2 * row.operations >= heaviest]
    if len(speeds) >= ROWS_TO_TRUST:  # of light trials the SVD and what all share would be most of the time
        source = f"{len(speeds)} stored trials"
        return Speed(operations_per_second=statistics.median(speeds), source=source, replicas=replicas)
    if gpus:
        sheet = next((rates for name, rates in GPU_TERAFLOPS.items() if name in gpus[0]), None)
        if sheet is not None:
            teraflops = sheet[opened.study.model.dtype == "float32"]
            source = f"{100 * ENGINE_SHARE:.0f} % of the data sheet of {gpus[0]}"
            return Speed(operations_per_second=ENGINE_SHARE * teraflops * 1e12, source=source, replicas=replicas)
    rate = _matrix_speed(opened) * ENGINE_SHARE
    source = f"{100 * ENGINE_SHARE:.0f} % of this machine's matrix products on {cluster.cpus_per_replica} cores"
    return Speed(operations_per_second=rate, source=source, replicas=replicas)


def _gpu_names() -> list[str]:
    """Names of this machine's GPUs, asked without touching one."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):  # no driver, no GPU
        return []
    return [line.strip() for line in listed.splitlines() if line.strip()]


def _matrix_speed(opened: OpenStudy) -> float:
    """Operations per second of this machine's cores at the model's largest matrix."""
    import torch

    card, cluster = opened.subject.card, opened.study.cluster
    rows, cols, _ = max(
        (shape for held in card.shapes.values() for shape in held), key=lambda shape: shape[0] * shape[1]
    )
    before = torch.get_num_threads()
    torch.set_num_threads(cluster.cpus_per_replica)
    try:
        weight = torch.zeros(rows, cols, dtype=getattr(torch, card.dtype))
        tokens = torch.zeros(256, cols, dtype=weight.dtype)
        torch.nn.functional.linear(tokens, weight)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < MEASURED_SECONDS:
            torch.nn.functional.linear(tokens, weight)
            count += 1
        return 2 * 256 * rows * cols * count / (time.perf_counter() - began)
    finally:
        torch.set_num_threads(before)


def _expected_tests(opened: OpenStudy, missing: Iterable[TrialSpec]) -> list[TrialSpec]:
    """Trials on test if each shots and module had a winner of its own, at a middling layer, and their baselines."""
    starts: dict[str, list[Clip]] = {}
    for clip in opened.space.starts():
        starts.setdefault(clip.module, []).append(clip)
    middle = [(), *((each[len(each) // 2],) for each in starts.values())]
    return list(dict.fromkeys(replace(spec, split="test", clips=clips) for spec in missing for clips in middle))


def _matrices_to_measure(opened: OpenStudy) -> int:
    """How many condition numbers the choice of layers waits for; 0 where it is made, or the study made it."""
    if opened.pending is None:
        return 0
    missing = opened.pending.rule.missing(opened.spectrum.conditions())
    return sum(shape.count for place in missing for shape in opened.subject.card.shapes[place])


def _factors(opened: OpenStudy) -> tuple[int, int]:
    """How many matrices the study clips, and the bytes of their float32 factors."""
    card = opened.subject.card
    edits = [edit for clip in opened.space.starts() for edit in resolve([clip], card).edits]
    shapes = {(edit.layer, edit.role, edit.shape): edit.shape for edit in edits}.values()
    count = sum(shape.count for shape in shapes)
    return count, sum(4 * shape.count * min(shape[:2]) * (shape.rows + shape.cols + 1) for shape in shapes)
