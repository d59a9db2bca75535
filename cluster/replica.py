"""A replica: one loaded model that serves trials. Both pools hold it; nothing here knows of studies or Ray."""

from __future__ import annotations

import logging
import os
import platform
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import lru_cache, partial

import torch

from clipsweep.cluster.counters import Counters
from clipsweep.cluster.fit import check_gpus_unused
from clipsweep.cluster.work import Batch, NormsRequest, ReplicaSettings
from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.errors import EvaluationError, ModelError, PoolError, TaskError
from clipsweep.trials.base.memory import keep_freed_memory
from clipsweep.trials.base.versions import recorded_versions
from clipsweep.trials.checkpoint.weight_files import fingerprint_of
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.measure_spectrum import measure_spectrum
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.find import find_checkpoint
from clipsweep.trials.models.load import load_model
from clipsweep.trials.models.placement import devices_of
from clipsweep.trials.prompts.judge import Judgement, judge
from clipsweep.trials.prompts.prompts import Prompts, Tokens
from clipsweep.trials.screen.screen import screen
from clipsweep.trials.screen.screened import Screened, ScreenRequest
from clipsweep.trials.spec.implicit import ImplicitNorms, TrialNorms
from clipsweep.trials.spec.kinds import Texts
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.start import Start
from clipsweep.trials.spec.trial import PromptSet, Trial
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.encode import encode_prompts, encode_texts
from clipsweep.trials.tokens.tokenizer import load_tokenizer

PROMPT_SETS_KEPT = 16
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Scores of a trial's labels, and what they say of its examples."""

    scored: LabelScores
    judgement: Judgement
    demonstrations: int


class Replica:
    """Loads the model once, then evaluates batches; keeps nothing of a study."""

    def __init__(self, settings: ReplicaSettings, name: str) -> None:
        """Load model, tokenizer and rows.

        Raises:
            PoolError: This process sees fewer GPUs than the model is to be spread over.
            ModelError: This node holds another checkpoint under that name than the driver, or the model does not load.
            TaskError: The same for the task's rows.
        """
        began = time.perf_counter()
        torch.set_num_threads(settings.threads)
        keep_freed_memory()
        self._name = name
        devices = pick_devices(settings.gpus)
        self._device = ",".join(devices)
        verify = settings.verify_hashes
        folder = find_checkpoint(settings.model, settings.cache, verify_hashes=verify)
        self._card = describe_checkpoint(folder, settings.model.dtype, settings.cache, verify_hashes=verify)
        self._tokenizer = load_tokenizer(folder)
        self._tasks: dict[str, Task] = {}
        where = f"on node {platform.node()}"
        if self._card.fingerprint != settings.model_fingerprint:
            raise ModelError(f"{folder} {where} is another checkpoint than the driver's; make the folders equal.")
        for asked, fingerprint in ((settings.task, settings.task_fingerprint), *settings.others):
            task = self._tasks[asked.name] = load_task(asked, settings.cache, lambda: self._tokenizer)
            if task.fingerprint != fingerprint:
                raise TaskError(f"task {task.name!r} {where} has other rows than the driver's; make them equal.")
        self._model = model = load_model(folder, settings.model.dtype, *devices)
        if fingerprint_of(folder, settings.cache) != self._card.fingerprint:
            raise ModelError(f"{folder} {where} was changed while it was loaded; run again once it is complete.")
        budget = Budget.measure(*devices_of(model), asked=settings.activation_bytes, sharers=settings.sharers)
        factors = FactorCache(settings.cache, memory_bytes=budget.trials_bytes)
        self._engine = Engine(model, self._card, factors, budget, theory=settings.theory)
        self._engine.announce(settings.starts)
        self._prompts = lru_cache(maxsize=PROMPT_SETS_KEPT)(self._encode)
        self._texts = lru_cache(maxsize=PROMPT_SETS_KEPT)(self._encode_texts)
        self._counted = Counters(load_seconds=time.perf_counter() - began)  # what nothing below counts by itself

    def describe(self) -> dict[str, str]:
        """Name, node, process and device, for the status display."""
        return {"name": self._name, "node": platform.node(), "pid": str(os.getpid()), "device": self._device}

    def counters(self) -> Counters:
        """What it has done since it was loaded."""
        factors, captured = self._engine.factors, self._engine.capture_seconds
        counted = self._counted
        others = counted.encode_seconds + factors.svd_seconds + captured
        return replace(
            counted,
            capture_seconds=captured,
            svd_seconds=factors.svd_seconds,
            evaluate_seconds=max(0.0, counted.evaluate_seconds - others),
            halvings=self._engine.n_halvings,
            factors_found=factors.n_found,
            factors_computed=factors.n_computed,
        )

    def evaluate(self, batch: Batch) -> list[TrialResult]:
        """Run a batch; a trial that raises is a result with its error, and the others run."""
        together: dict[tuple[PromptSet, tuple[int, int] | None], list[Trial]] = {}
        for trial in batch.trials:
            together.setdefault((trial.spec.prompt_set, trial.rows), []).append(trial)
        began = time.perf_counter()
        results = [result for trials in together.values() for result in self._evaluate(trials, batch.microbatch)]
        counted = self._counted
        self._counted = replace(
            counted,
            trials=counted.trials + len(results),
            failed=counted.failed + sum(result.state is TrialState.FAILED for result in results),
            rows=counted.rows + sum(result.n_examples for result in results),
            evaluate_seconds=counted.evaluate_seconds + time.perf_counter() - began,
        )
        return results

    def announce(self, starts: Sequence[Start]) -> None:
        """Hear where trials will start, so that one pass captures for all of them."""
        self._engine.announce(starts)

    def spectrum(self, places: Sequence[Place]) -> list[MatrixSpectrum]:
        """Singular values of the original matrices at these places.

        Raises:
            EvaluationError: A matrix has weights that are not finite.
        """
        return list(measure_spectrum(self._model, self._engine.layout, places, self._engine.factors))

    def screen(self, request: ScreenRequest) -> Screened:
        """Predict what clips do to margins, by one backward pass.

        Raises:
            EvaluationError: As ``trials.screen.screen``.
            SpecError: The same.
        """
        return screen(self._engine, self._prompts_of(request.prompt_set), request)

    def norms(self, request: NormsRequest) -> list[TrialNorms]:
        """Measure what demonstrations do under trials' weights; one that cannot be measured says why.

        Raises:
            TaskError: The prompts cannot be tokenised.
        """
        trials = request.trials
        prompts = self._prompts_of(trials[0].spec.prompt_set)
        found = self._engine.measure(prompts, [trial.resolved for trial in trials], request.microbatch)
        return [_norms_of(trial.trial_id, end) for trial, end in zip(trials, found, strict=True)]

    def _name_of(self, wanted: PromptSet) -> str:
        """The task of prompts, which of one alone they need not name."""
        return wanted.task if wanted.task in self._tasks else next(iter(self._tasks))

    def _task_of(self, wanted: PromptSet) -> Task:
        return self._tasks[self._name_of(wanted)]

    def _prompts_of(self, wanted: PromptSet) -> Prompts:
        """The prompts, tokenised once, whether or not they name their task."""
        return self._prompts(replace(wanted, task=self._name_of(wanted)))

    def _encode(self, wanted: PromptSet) -> Prompts:
        began = time.perf_counter()
        prompts = encode_prompts(self._task_of(wanted), self._tokenizer, wanted, self._card.context_length)
        taken = self._counted.encode_seconds + time.perf_counter() - began
        self._counted = replace(self._counted, encode_seconds=taken)
        return replace(prompts, texts=partial(self._texts, replace(wanted, shots=prompts.demonstrations)))

    def _encode_texts(self, wanted: PromptSet, texts: Texts) -> tuple[Tokens, ...]:
        return encode_texts(self._task_of(wanted), self._tokenizer, wanted, self._card.context_length, texts)

    def _judge(self, scored: LabelScores, prompts: Prompts, task: Task) -> Judged:
        """Judge the scores of a trial's labels."""
        leads = None if scored.leads is None else scored.leads.numpy()
        judgement = judge(prompts, scored.log_likelihoods.numpy(), leads, strict=task.strict)
        return Judged(scored=scored, judgement=judgement, demonstrations=prompts.demonstrations)

    def _evaluate(self, trials: Sequence[Trial], microbatch: int) -> list[TrialResult]:
        """Run trials that share prompts and rows; where one raises what is not its own error, each runs alone."""
        started_at, started = datetime.now(UTC), time.perf_counter()
        ends: list[Judged | Exception]
        try:
            wanted, rows = trials[0].spec.prompt_set, trials[0].rows
            whole, task = self._prompts_of(wanted), self._task_of(wanted)
            prompts = whole if rows is None else whole.part(*rows)
            scored = self._engine.score_all(prompts, [trial.resolved for trial in trials], microbatch)
            ends = [self._judge(each, prompts, task) if isinstance(each, LabelScores) else each for each in scored]
        except Exception as error:  # the one place that turns any error of a trial into its result
            if len(trials) > 1:
                return [result for trial in trials for result in self._evaluate([trial], microbatch)]
            ends = [error]
        seconds = (time.perf_counter() - started) / len(trials)
        results = [
            self._result(trial, end, started_at, microbatch, seconds) for trial, end in zip(trials, ends, strict=True)
        ]
        return [self._at_one_size(result, microbatch) for result in results]

    def _at_one_size(self, result: TrialResult, microbatch: int) -> TrialResult:
        """A result whose rows, with those of the parts before it, all ran at one microbatch.

        Where memory allowed a later part only a smaller one than the parts before it had, the trial is evaluated at
        that one from the first row on.
        """
        first, last = result.trial.rows or (0, 0)
        if first == 0 or result.state is TrialState.FAILED or result.microbatch == microbatch:
            return result
        log.warning("the rows before do not fit a microbatch of %d; they are evaluated again", result.microbatch)
        return self._evaluate([replace(result.trial, rows=(0, last))], result.microbatch)[0]

    def _result(
        self, trial: Trial, end: Judged | Exception, started_at: datetime, microbatch: int, seconds: float
    ) -> TrialResult:
        """The result of an attempt; its microbatch and seconds are those of the engine where it gave scores."""
        result = partial(
            TrialResult,
            trial=trial,
            replica=self._name,
            node=platform.node(),
            device=self._device,
            started_at=started_at,
            finished_at=datetime.now(UTC),
            versions=recorded_versions(),
        )
        if isinstance(end, Exception):
            return result(
                state=TrialState.FAILED,
                microbatch=microbatch,
                seconds=seconds,
                error=traceback.format_exception_only(end)[-1].strip(),
                traceback="".join(traceback.format_exception(end)),
            )
        return result(
            state=TrialState.COMPLETE,
            **{field.name: getattr(end.judgement, field.name) for field in fields(Judgement)},
            implicit=end.scored.implicit,
            demonstrations=end.demonstrations,
            operations=end.scored.operations,
            engine_path=end.scored.engine_path,
            microbatch=end.scored.microbatch,
            seconds=end.scored.seconds,
        )


def _norms_of(trial_id: str, end: ImplicitNorms | EvaluationError | None) -> TrialNorms:
    """What measuring a trial gave."""
    if isinstance(end, EvaluationError):
        return TrialNorms(trial_id=trial_id, norms=None, error=str(end))
    return TrialNorms(trial_id=trial_id, norms=end)


def pick_devices(gpus: float) -> list[str]:
    """Torch devices of a replica: of the GPUs that Ray, or the user, has left visible to this process the first.

    Raises:
        PoolError: There are GPUs, but fewer than ``gpus``.
        SpecError: There are none, and another number than the default was asked for.
    """
    if not torch.cuda.is_available() or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        check_gpus_unused(gpus, f"{platform.node()}, or what this process sees of it,")
        return ["cpu"]
    if gpus <= 1:
        return ["cuda"]
    if gpus > torch.cuda.device_count():
        raise PoolError(
            f"cluster.gpus_per_replica is {gpus:g}, and {platform.node()} shows this replica "
            f"{torch.cuda.device_count()} GPUs; expected as many. Lower it, or look at CUDA_VISIBLE_DEVICES."
        )
    return [f"cuda:{number}" for number in range(int(gpus))]
