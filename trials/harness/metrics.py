"""Which tasks and metrics of the harness are scored here, and how; what is refused, before any document is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.scores.scoring import Scoring

Config = Mapping[str, Any]  # the keys of a task's YAML file

SCORED: dict[str, dict[str, Scoring]] = {  # by output type and metric
    "multiple_choice": {
        "acc": Scoring.LOGLIKELIHOOD,
        "acc_norm": Scoring.LENGTH_NORMALISED,
        "acc_bytes": Scoring.LENGTH_NORMALISED,
        "exact_match": Scoring.GREEDY,
    },
    "loglikelihood": {"acc": Scoring.GREEDY},
}
IN_BYTES = "acc_bytes"
DEFAULTS = {"multiple_choice": ["acc", "acc_norm"], "loglikelihood": ["perplexity", "acc"]}  # lm_eval.api.registry
GENERATES = "generate_until"  # what the harness takes a task for that does not say
TAKE_FIRST = "take_first"
SERVED_BY = {
    GENERATES: "it generates text, and trials score given answers by their likelihood. Take a variant of the task that "
    "has choices, or write it as a task of your own with its answers: task.definition",
    "loglikelihood_rolling": "it measures perplexity. Give its texts to task.text",
}


def check_config(name: str, config: Config) -> None:
    """Refuse a task that is not scored by the likelihood of its answers as the harness itself does.

    Args:
        name: Of the task.
        config: Its keys, functions resolved or not.

    Raises:
        TaskError: What it does, and what serves it.
    """
    output = config.get("output_type") or GENERATES
    if "class" in config:
        raise TaskError(
            f"harness task {name!r} is made by Python code of its own; expected one that a YAML file defines, as its "
            f"documents are read apart from its requests. Choose another task, or write it as YAML."
        )
    if output not in SCORED:
        raise TaskError(f"harness task {name!r} has output_type {output}: {SERVED_BY.get(output, 'unknown')}.")
    if config.get("process_results") is not None:
        raise TaskError(
            f"harness task {name!r} computes its metrics by code of its own (process_results); expected one of the "
            f"metrics {', '.join(SCORED[output])} as the harness computes them. Choose another task, or write a YAML "
            f"file that includes this one and sets process_results: null."
        )
    functions = [each.get("function") for one in config.get("filter_list") or [] for each in one.get("filter", [])]
    if others := [each for each in functions if each != TAKE_FIRST]:
        raise TaskError(
            f"harness task {name!r} passes what the model gives through the filter {others[0]!r}; expected none but "
            f"{TAKE_FIRST}. Choose another task, or write a YAML file that includes this one and sets "
            f"filter_list: null."
        )
    if config.get("doc_to_image") is not None or config.get("doc_to_audio") is not None:
        raise TaskError(
            f"harness task {name!r} shows images or plays sounds; expected text alone. Choose another task."
        )


def metrics_of(config: Config) -> list[str]:
    """Names of a task's metrics whose mean over the documents is its result, in the task's order."""
    listed = config.get("metric_list")
    if listed is None:
        return list(DEFAULTS[config["output_type"]])
    return [str(each["metric"]) for each in listed if each.get("aggregation", "mean") == "mean"]


def choose_metric(name: str, configs: Sequence[Config], aggregated: Sequence[str] | None, asked: str | None) -> str:
    """Which metric is scored: the one that is asked for, or the first of the task's own that can be.

    Args:
        name: Of the task or group.
        configs: Of the task, or of all tasks of the group.
        aggregated: Metrics that the group takes the mean of; None for a task.
        asked: By the study; None for the first.

    Raises:
        TaskError: It is none of those that the task has and that are scored here; or there are none.
    """
    first = metrics_of(configs[0]) if aggregated is None else aggregated
    usable = [metric for metric in dict.fromkeys(first) if all(_has(config, metric) for config in configs)]
    if not usable:
        raise TaskError(
            f"harness task {name!r} has none of the metrics that are scored here; it has {', '.join(first) or 'none'}, "
            f"expected one of {', '.join(SCORED[configs[0]['output_type']])}. Choose another task, or write a YAML "
            f"file that includes this one and lists one of these in metric_list."
        )
    if asked is not None and asked not in usable:
        if aggregated is not None and asked not in aggregated and all(_has(config, asked) for config in configs):
            raise TaskError(
                f"task.lm_eval.metric is {asked!r}, which the tasks of harness group {name!r} have, but the group "
                f"takes the mean of {', '.join(aggregated)} alone (aggregate_metric_list); expected one of "
                f"{', '.join(usable)}. Take another, or write a YAML file of a group that lists {asked} in "
                f"aggregate_metric_list, with weight_by_size: true."
            )
        raise TaskError(
            f"task.lm_eval.metric is {asked!r}, but of harness task {name!r} only {', '.join(usable)} can be scored; "
            f"expected one of these. Take another, or leave it out for {usable[0]}."
        )
    return usable[0] if asked is None else asked


def scoring_of(name: str, configs: Sequence[Config], metric: str) -> Scoring:
    """How the answers are scored for a metric.

    Raises:
        TaskError: Tasks of a group need different ways.
    """
    found = dict.fromkeys(SCORED[config["output_type"]][metric] for config in configs)
    if len(found) > 1:
        raise TaskError(
            f"harness group {name!r} mixes tasks of several output types, whose {metric} is scored in different ways; "
            f"expected one. Take its tasks one by one."
        )
    return next(iter(found))


def _has(config: Config, metric: str) -> bool:
    return metric in metrics_of(config) and metric in SCORED[config["output_type"]]
