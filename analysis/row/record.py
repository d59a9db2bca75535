"""From a result to the row that is stored of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

from clipsweep.analysis.row.packing import pack_loglikelihoods, pack_margins, pack_outcomes, pack_tokens
from clipsweep.analysis.row.row import SCHEMA_VERSION, Record, clip_record
from clipsweep.trials.scores.tally import Scores
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.trial import TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RowContext:
    """What a row holds besides the trial's own result, the same for all trials of a study.

    Attributes:
        study: Name of the study.
        model_fingerprint: Of the checkpoint.
        dtype: The dtype the model ran in.
        variant: The task's variant.
        task_fingerprint: Of the task and its rows.
        parameters_total: Of the model.
    """

    study: str
    model_fingerprint: str
    dtype: str
    variant: str
    task_fingerprint: str
    parameters_total: int


def make_record(
    result: TrialResult, context: RowContext, *, attempt: int, parameters_kept: int, log_path: str | None
) -> Record:
    """Lay a result out as a row of ``SCHEMA``."""
    return {
        "trial_id": result.trial.trial_id,
        "study": context.study,
        "state": result.state.value,
        "attempt": attempt,
        "model_fingerprint": context.model_fingerprint,
        "dtype": context.dtype,
        "variant": context.variant,
        "task_fingerprint": context.task_fingerprint,
        **_describe_spec(result.trial.spec),
        **_describe_scores(result),
        "parameters_kept": parameters_kept,
        "parameters_total": context.parameters_total,
        "operations": result.operations,
        "engine_path": result.engine_path,
        "microbatch": result.microbatch,
        "seconds": result.seconds,
        "replica": result.replica,
        "node": result.node,
        "device": result.device,
        "error": result.error,
        "log_path": log_path,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "versions": result.versions,
        "schema_version": SCHEMA_VERSION,
        "demonstrations": result.demonstrations,
        **_describe_theory(result.implicit),
    }


def _describe_spec(spec: TrialSpec) -> Record:
    """What was evaluated; a single clip is repeated in columns of its own."""
    single = spec.clips[0] if len(spec.clips) == 1 else None
    return {
        "model": spec.model,
        "task": spec.task,
        "split": spec.split,
        "shots": spec.shots,
        "demo_seed": spec.demo_seed,
        "clips": [clip_record(clip) for clip in spec.clips],
        "layer": single.layer if single else None,
        "module": single.module if single else None,
        "clip_rate": single.clip_rate if single else None,
    }


def _describe_scores(result: TrialResult) -> Record:
    """What it scored. The tally is kept of partial trials alone, whose next part is added to it."""
    scores, waits = result.scores, result.state is TrialState.PARTIAL
    return {
        "n_examples": result.n_examples,
        **{field.name: getattr(scores, field.name) if scores else None for field in fields(Scores)},
        "outcomes": pack_outcomes(result.outcomes),
        "margins": pack_margins(result.margins) if result.margins else None,
        "loglikelihoods": pack_loglikelihoods(result.loglikelihoods) if result.loglikelihoods else None,
        "tokens": pack_tokens(result.tokens) if result.tokens else None,
        "tally": json.dumps(result.tally.to_json()) if result.tally and waits else None,
    }


def _describe_theory(norms: ImplicitNorms | None) -> Record:
    """What its demonstrations do by the paper's theory; null where that was not measured."""
    return {
        "log_delta_w": norms and list(norms.delta_w),
        "log_delta_w_softmax": norms and list(norms.delta_w_softmax),
        "log_implicit_gradient": norms and list(norms.implicit_gradient),
        "theory_seconds": norms and norms.seconds,
    }
