"""What a study will cost: operations, hours and memory, before any model is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy, default_folder
from clipsweep.orchestrator.plan.ahead import (
    Ahead,
    expected_start,
    expected_tests,
    look_ahead,
    screen_notes,
    search_notes,
    task_notes,
    theory_notes,
)
from clipsweep.orchestrator.plan.check_trials import check_trials
from clipsweep.orchestrator.plan.expectation import expect
from clipsweep.orchestrator.plan.prepare import Prepared, prepare
from clipsweep.orchestrator.plan.speed import Speed, expect_speed
from clipsweep.orchestrator.space.screen_rule import ScreenRule
from clipsweep.orchestrator.study.schema import Study
from clipsweep.orchestrator.words import format_seconds
from clipsweep.trials.base.errors import counted
from clipsweep.trials.clips.resolve import resolve, starts_of
from clipsweep.trials.clips.spectrum import Place
from clipsweep.trials.engine.cost import CostModel, Extent, measure_extents
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.screen.count import count_operations, matrices_of
from clipsweep.trials.screen.rows import rows_of_a_group, rows_to_screen
from clipsweep.trials.screen.screened import ScreenRequest
from clipsweep.trials.spec.shape import Shape
from clipsweep.trials.spec.start import Start
from clipsweep.trials.spec.trial import PromptSet, TrialSpec

SAMPLED_ROWS = 1000


def plan_study(study: Study, folder: Path | None, cache: Path, *, verify_hashes: bool = False) -> dict[str, Any]:
    """What a run would do: trials, operations, hours and memory expected.

    Returns:
        Counts, ``operations``, ``hours`` at ``speed`` on so many ``replicas``, bytes on each replica and on disk, and
        the folder. Trials on the test split are counted at most, as the winners are not known. ``expectation``: see
        ``expect``. ``screen``: see ``_screen``; None where nothing is to be screened. ``theory``: whether trials
        measure what the theory says; ``stored_trials_to_measure``: those that are measured at the end, by their
        demonstrations alone; ``matrices_for_theory``: those whose singular values are measured then.
    """
    prepared = prepare(study, folder or default_folder(study), cache, verify_hashes=verify_hashes)
    opened, card = prepared.opened, prepared.opened.subject.card
    ledger = Ledger(opened)
    ahead = look_ahead(opened, ledger)
    missing = ahead.missing
    requests = opened.missing_screens()
    notes = check_trials(prepared, missing) + task_notes(opened) + screen_notes(opened)
    notes += theory_notes(opened, ledger.rows) + search_notes(opened)
    counts = _Counts(prepared)
    speed = expect_speed(opened, ledger)
    cost_of = partial(_cost, opened, counts, speed)
    operations, hours = cost_of(requests, ahead, 1.0)
    n_matrices, factor_bytes = _factors(opened)
    return {
        "points": ahead.points,
        "tasks": [member.name for member in opened.study.task.members],
        "demonstration_seeds": len(opened.space.demo_seeds),
        "trials": ahead.total,
        "trials_to_run": sum(missing.values()),
        "test_trials_at_most": len(_tests(opened, ahead)),
        "operations": operations,
        "hours": hours,
        "replicas": speed.replicas,
        "operations_per_second_of_each": speed.operations_per_second,
        "speed": speed.source,
        "weight_bytes_per_replica": card.weight_bytes,
        "activation_bytes_per_replica": counts.activation_bytes(),
        "activation_budget": study.cluster.activation_budget,
        "matrices_to_factor_at_most": n_matrices,
        "factor_bytes_on_disk": factor_bytes,
        "matrices_to_measure": _matrices_to_measure(opened),
        "stored_trials_to_measure": len(opened.missing_norms(ledger.rows)),
        "matrices_for_theory": _count_matrices(opened, opened.missing_spectra()),
        "screen": _screen(opened, counts, speed, requests) if requests else None,
        "expectation": expect(opened, partial(cost_of, opened.screens_wanted())),
        "notes": notes,
        "theory": study.theory,
        "dir": str(opened.folder),
    }


def _cost(
    opened: OpenStudy,
    counts: _Counts,
    speed: Speed,
    requests: Sequence[ScreenRequest],
    ahead: Ahead,
    share: float,
) -> tuple[float, float]:
    """Operations of what is ahead with its screens, and hours, if of trials on validation only a share is run."""
    tests = _tests(opened, ahead)
    operations = share * sum(count * counts.trial(spec) for spec, count in ahead.missing.items())
    operations += sum(map(counts.trial, tests))
    shared = counts.shared({spec.prompt_set for spec in (*ahead.missing, *tests)})
    hours = (operations / speed.replicas + shared) / speed.operations_per_second / 3600
    screened, screen_hours = _screen_cost(counts, speed, requests)
    return operations + speed.replicas * shared + screened, hours + screen_hours


def _screen_cost(counts: _Counts, speed: Speed, requests: Sequence[ScreenRequest]) -> tuple[float, float]:
    """Operations of screens, and hours: a replica screens one prompt set after the other."""
    operations = sum(map(counts.screen, requests))
    at_once = max(1, min(speed.replicas, len(requests)))
    return operations, operations / at_once / speed.operations_per_second / 3600


def _screen(opened: OpenStudy, counts: _Counts, speed: Speed, requests: Sequence[ScreenRequest]) -> dict[str, Any]:
    """What is to be screened.

    Returns:
        ``prompt_sets``, ``rows`` of each, ``clips`` predicted on each, ``operations`` and ``hours`` (both of all
        prompt sets, and part of those of the plan; by the model's shapes, so about), and ``chooses_layers``.
    """
    operations, hours = _screen_cost(counts, speed, requests)
    return {
        "prompt_sets": len(requests),
        "rows": requests[0].rows,
        "clips": len(requests[0].clips),
        "operations": operations,
        "hours": hours,
        "chooses_layers": opened.pending is not None,
    }


def _tests(opened: OpenStudy, ahead: Ahead) -> list[TrialSpec]:
    """Trials on the test split, at most; none where the task has no such rows."""
    return expected_tests(opened, ahead.missing) if opened.subject.tested else []


def describe_plan(plan: dict[str, Any]) -> str:
    """The plan in words, a line for each fact."""
    sizes = {name: decimal(plan[name]) for name in plan if "_bytes" in name}
    budget = plan["activation_budget"]
    shown_budget = budget if budget == "auto" else decimal(budget)
    measured, screen = plan["matrices_to_measure"], plan["screen"]
    chosen_by_screen = screen is not None and screen["chooses_layers"]
    by = "the screen" if chosen_by_screen else f"condition numbers of {measured} matrices"
    choice = f"chosen first, by {by}; until then costs are told for middling ones"
    return "\n".join(
        [
            *_describe_counts(plan),
            *([f"layers      {choice}"] if measured or chosen_by_screen else []),
            *([] if screen is None else [_describe_screen(screen)]),
            *([f"theory      {_describe_theory(plan)}"] if plan["theory"] else []),
            f"operations  {plan['operations']:.3g}",
            f"time        {format_seconds(3600 * plan['hours'])} on {counted(plan['replicas'], 'replica')} at "
            f"{plan['operations_per_second_of_each'] / 1e12:.3g} TFLOP/s each ({plan['speed']})",
            f"memory      on each replica {sizes['weight_bytes_per_replica']} of weights and, to hold all, "
            f"{sizes['activation_bytes_per_replica']} of activations (activation_budget: {shown_budget})",
            f"besides     the SVD of {plan['matrices_to_factor_at_most']} matrices, but for those in the cache: "
            f"{sizes['factor_bytes_on_disk']} on disk",
            f"folder      {plan['dir']}",
            *(f"note        {note}" for note in plan["notes"]),
        ]
    )


def _describe_screen(screen: dict[str, Any]) -> str:
    """What is to be screened, in a line."""
    return (
        f"screen      {counted(screen['rows'], 'row')} x {counted(screen['prompt_sets'], 'prompt set')}: about "
        f"{screen['operations']:.3g} operations, {format_seconds(3600 * screen['hours'])}; part of those below"
    )


def _describe_theory(plan: dict[str, Any]) -> str:
    """What a study that asks for the theory measures besides."""
    stored, n_matrices = plan["stored_trials_to_measure"], plan["matrices_for_theory"]
    parts = ["the norms of implicit updates are measured in each trial"] if plan["trials_to_run"] else []
    if stored:
        parts.append(f"{counted(stored, 'stored trial')} measured at the end by the demonstrations alone")
    if n_matrices:
        parts.append(f"the singular values of {n_matrices:,} matrices measured at the end")
    return "; ".join(parts) or "all stored trials are measured"


def _describe_counts(plan: dict[str, Any]) -> list[str]:
    """Points and trials, a line each."""
    tests = plan["test_trials_at_most"]
    on_test = f", and at most {tests:,} on test" if tests else ""
    trials = f"trials      {plan['trials']:,} on validation, {plan['trials_to_run']:,} of them to run{on_test}"
    if plan["points"] is None:  # a sampler chooses them
        return [trials]
    n_tasks, n_seeds = len(plan["tasks"]), plan["demonstration_seeds"]
    each = [f"{n_tasks} tasks"] * (n_tasks > 1) + [f"{n_seeds} demonstration seeds"] * (n_seeds > 1)
    seeds = f", with {' and '.join(each)} each" if each else ""
    return [f"points      {plan['points']:,}{seeds}", trials]


class _Counts:
    """Operations of trials, by prompts that are tokenised once; a large test split is sampled."""

    def __init__(self, prepared: Prepared) -> None:
        from clipsweep.trials.tokens.tokenizer import load_tokenizer

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
            self._known[key] = scale * self._cost.trial(self._extents(prompts), key[1])
        return self._known[key]

    def shared(self, prompt_sets: Iterable[PromptSet]) -> float:
        """Operations of the untouched model's passes over prompts, which every replica runs once."""
        read = map(self._read, prompt_sets)
        return sum(scale * self._cost.base(self._extents(prompts)) for prompts, scale in read)

    def screen(self, request: ScreenRequest) -> float:
        """Operations of a screen, if its rows are as long as the last of those read, and memory takes ten groups."""
        prompts, _ = self._read(request.prompt_set)
        _, rows = rows_to_screen(prompts, request.rows)
        scale = request.rows / len(rows.queries)
        extents = measure_extents(rows, rows_of_a_group(rows))
        return scale * count_operations(self._cost, extents, matrices_of(request.clips, self._card), 1)

    def _extents(self, prompts: Prompts) -> tuple[Extent, ...]:
        """Of all microbatches, as a model runs them that can read what labels have in common once."""
        return measure_extents(prompts, self._size, branches=True)

    def activation_bytes(self) -> int:
        """Bytes of all that is captured of the largest prompt set, the prefix's keys and values included."""
        card = self._card
        per_token = self._captured_per_token()
        held = [0.0]  # numbers, of each prompt set
        for prompts, scale in self._prompts.values():
            tokens = sum(len(tokens) for query in prompts.queries for tokens in prompts.sequences(query))
            prefix = len(prompts.prefix) * (self._kept_per_prefix_token() + per_token)
            held.append(scale * tokens * per_token + prefix)
        return round(max(held) * card.weight_bytes / max(card.parameters_total, 1))

    def _captured_per_token(self) -> int:
        """Numbers captured of a token: a hidden state for each layer, and for each part of it that trials reuse."""
        space = self._prepared.opened.space
        layers = {site.layers[0] for site in space.sites}
        reused = sum(start.reuse is not None for start in starts_of(space.starts(), self._card))
        return (len(layers) + reused) * self._card.hidden_size

    def _kept_per_prefix_token(self) -> int:
        """Numbers kept of a token of the prefix: its key and its value in every layer."""
        keys = (shape.rows for (_, role), held in self._card.shapes.items() if role == "k" for shape in held)
        return 2 * sum(keys)

    def _read(self, wanted: PromptSet) -> tuple[Any, float]:
        """Prompts, and by how much they stand for more."""
        from clipsweep.trials.tokens.encode import encode_prompts

        if wanted not in self._prompts:
            task = self._prepared.task_of(wanted.task)
            rows = len(task.splits[wanted.split])
            sampled = min(rows, SAMPLED_ROWS)
            prompts = encode_prompts(task, self._tokenizer, wanted, self._card.context_length, range(sampled))
            self._prompts[wanted] = prompts, rows / sampled
        return self._prompts[wanted]


def _matrices_to_measure(opened: OpenStudy) -> int:
    """How many condition numbers the choice of layers waits for; 0 where it is made, or the study made it."""
    if opened.pending is None or isinstance(opened.pending.rule, ScreenRule):
        return 0
    missing = opened.pending.rule.missing(opened.spectrum.conditions())
    return _count_matrices(opened, missing)


def _count_matrices(opened: OpenStudy, places: Iterable[Place]) -> int:
    return sum(shape.count for place in places for shape in opened.subject.card.shapes[place])


def _factors(opened: OpenStudy) -> tuple[int, int]:
    """How many matrices the study clips, and the bytes of their factors."""
    card = opened.subject.card
    edits = [edit for clips in opened.space.largest_clips() for edit in resolve(clips, card).edits]
    shapes = {(edit.layer, edit.role, edit.shape): edit.shape for edit in edits}.values()  # each matrix once
    return sum(shape.count for shape in shapes), sum(map(_factor_bytes, shapes))


def _factor_bytes(shape: Shape) -> int:
    """Bytes of ``u``, ``s`` and ``vh`` in float32, of all matrices of a shape."""
    rank = min(shape.rows, shape.cols)
    return 4 * shape.count * rank * (shape.rows + 1 + shape.cols)
