from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.orchestrator.drivers.driver import StudyDriver
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.source.find_file import shipped_studies
from clipsweep.orchestrator.source.overrides import parse_override
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.files import read_studies
from clipsweep.orchestrator.study.names import DRIVERS, EVERY_DRIVER, OF_SEQUENTIAL_TEST
from clipsweep.orchestrator.study.schema import SearchSection
from clipsweep.trials.base.errors import ClipsweepError, SpecError, StudyError

MakeStudy = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("space", "clip_rate", [0.5], "no study key 'space.clip_rate'.*Did you mean 'space.clip_rates'"),
        ("cluster", "replica", 2, "no study key 'cluster.replica'.*Did you mean 'cluster.replicas'"),
        ("space", "clip_rates", [0.5, 9.5], r"'space.clip_rates.1' is 9.5; expected a fraction in \[0, 1\).*by 10"),
        ("space", "clip_rates", [1.0], r"'space.clip_rates.0' is 1.0; expected a fraction"),
        ("space", "clip_rates", [], "'space.clip_rates' is \\[\\]; expected"),
        ("space", "modules", ["atn"], "'space.modules.0' is 'atn'; expected .*Did you mean 'attn'"),
        ("space", "shots", ["4"], "'space.shots.0' is '4'; expected a whole number of 0 or more. It is text; write 4"),
        ("space", "shots", [-1], "'space.shots.0' is -1; expected a whole number of 0 or more"),
        ("space", "layers", "some", "'space.layers' is 'some'; expected"),
        ("model", "dtype", "float64", "'model.dtype' is 'float64'; expected 'float32', 'bfloat16' or 'float16'"),
        ("model", "allow_bin", "yes", "'model.allow_bin' is 'yes'; expected true or false"),
        ("task", "truncate", "left", "'task.truncate' is 'left'; expected 'error'"),
        (
            "search",
            "sampler",
            "gp",
            "'search.sampler' is 'gp', but driver 'grid' does not use it; expected its default",
        ),
        (
            "space",
            "layers",
            {"top_conditon": 3},
            "'space.layers.top_conditon'.* Did you mean 'space.layers.top_condition'",
        ),
        (
            "space",
            "layers",
            {"top_condition": 0},
            "'space.layers.top_condition' is 0; expected a whole number of 1 or more",
        ),
        (
            "search",
            "module_condition",
            "median",
            "'search.module_condition' is 'median'; expected 'max', 'mean' or 'min'",
        ),
        (
            "search",
            "module_condition",
            "mean",
            "'search.module_condition' is 'mean', but driver 'grid' does not use it",
        ),
        ("search", "top_k", 3, "'search.top_k' is 3, but driver 'grid' does not use it"),
        ("search", "race", "halv", "'search.race' is 'halv'; expected 'halving', 'neighbours' or 'test'"),
        ("search", "indifference", 0.01, "'search.indifference' is 0.01, but driver 'grid' does not use it"),
        ("search", "n_trials", 0, "'search.n_trials' is 0"),
        ("search", "max_hours", 0, "'search.max_hours' is 0"),
        ("search", "max_gpu_hours", 0, "'search.max_gpu_hours' is 0"),
        ("search", "patience", 0, "'search.patience' is 0"),
        ("cluster", "gpus_per_replica", 1.5, "'cluster.gpus_per_replica' is 1.5; expected a share up to 1, or a whole"),
        ("cluster", "address", "head:6379", "'cluster.address' is 'head:6379', but replicas: 0 runs in this process"),
        (
            "cluster",
            "activation_budget",
            "8 gigs",
            "'cluster.activation_budget' is '8 gigs'; expected 'auto' or a number with a unit, as in 256MB or 1.5GiB.$",
        ),
        (
            "cluster",
            "activation_budget",
            8,
            "'cluster.activation_budget' is 8; expected 'auto' or a number",
        ),
        (
            "cluster",
            "activation_budget",
            "-3MB",
            "'cluster.activation_budget' is '-3MB'; expected 'auto' or a number",
        ),
        ("cluster", "microbatch", 0, "'cluster.microbatch' is 0; expected 'auto' or a whole number of 1 or more"),
        ("space", "clips", 2, "'space.clips' is 2; expected keys and values: max"),
        ("space", "demo_seeds", {"low": 0}, "'space.demo_seeds' is {'low': 0}; expected a list"),
        (
            "cluster",
            "replicas",
            "many",
            "'cluster.replicas' is 'many'; expected 'auto' or a whole number",
        ),
        ("space", "clip_rates", "0.9", "'space.clip_rates' is '0.9'; .* It is text; write 0.9 without quotes"),
        (
            "space",
            "clip_rates",
            "nan",
            r"'space.clip_rates' is 'nan'; expected a list of fractions in \[0, 1\), or .*}\.$",
        ),
        ("model", "dtype", "fp16", "'model.dtype' is 'fp16'; .* Did you mean 'float16'"),
        ("search", "race", False, "'search.race' is false.*Remove the key, or give it null, for no race"),
    ],
)
def test_a_wrong_key_or_value_is_refused_in_words(
    make_study: MakeStudy, section: str, key: str, value: object, words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        check_study(make_study(**{section: {key: value}}))


def test_layers_are_ranked_by_the_driver_or_by_the_space_and_not_by_both(make_study: MakeStudy) -> None:
    with pytest.raises(StudyError, match="'space.layers' is .*, but driver 'algorithm1' ranks the layers itself"):
        check_study(make_study(space={"layers": {"top_condition": 2}}, search={"driver": "algorithm1"}))


def test_what_ranks_layers_may_say_how(make_study: MakeStudy) -> None:
    ranked = make_study(space={"layers": {"top_condition": 2}}, search={"module_condition": "mean"})
    search = {"driver": "algorithm1", "top_k": 2, "module_condition": "min"}
    for content in (ranked, make_study(search=search)):
        study = check_study(content)
        assert check_study(yaml.safe_load(study.to_yaml())) == study


@pytest.mark.parametrize(
    ("text", "size"), [("auto", None), ("256MB", 256 * 10**6), ("1.5GiB", 3 * 2**29), ("8 GB", 8 * 10**9), ("0MB", 0)]
)
def test_a_budget_is_a_number_with_a_unit(make_study: MakeStudy, text: str, size: int | None) -> None:
    assert check_study(make_study(cluster={"activation_budget": text})).cluster.activation_bytes == size


@pytest.mark.parametrize(("text", "written"), [("auto", "auto"), ("1.5GiB", "1610612736B"), ("0MB", "0B")])
def test_a_budget_is_written_as_a_plain_text_that_reads_back_the_same(
    make_study: MakeStudy, text: str, written: str
) -> None:
    study = check_study(make_study(cluster={"activation_budget": text}))
    stored = yaml.safe_load(study.to_yaml())
    assert stored["cluster"]["activation_budget"] == written
    assert check_study(stored) == study


def test_every_wrong_key_is_named_at_once(make_study: MakeStudy) -> None:
    with pytest.raises(StudyError) as refusal:
        check_study(make_study(space={"shot": [1]}, model={"dtyp": "float32"}))
    assert {"'space.shots'", "'model.dtype'"} <= set(str(refusal.value).replace("?", " ").split())


def test_a_missing_key_is_named(make_study: MakeStudy) -> None:
    content = make_study()
    del content["model"]["path"]
    with pytest.raises(StudyError, match="study key 'model.path' is missing"):
        check_study(content)


def test_a_name_that_is_no_folder_name_is_refused(make_study: MakeStudy) -> None:
    with pytest.raises(StudyError, match="study key 'name' is '../up'"):
        check_study(make_study() | {"name": "../up"})


def test_a_key_that_stands_twice_is_refused(tmp_path: Path, make_study: MakeStudy) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(make_study()) + "space: {shots: [1]}\n")
    with pytest.raises(StudyError, match="key 'space' stands twice"):
        read_studies(str(path), [])


def test_an_unknown_driver_is_refused_before_the_keys_that_another_would_use(make_study: MakeStudy) -> None:
    with pytest.raises(
        StudyError,
        match="search.driver: no driver 'bayse'; known: algorithm1, bayes, compose, grid. Did you mean 'bayes'",
    ):
        check_study(make_study(search={"driver": "bayse", "n_trials": 4}))


@pytest.mark.parametrize("name", DRIVERS)
def test_every_driver_that_a_study_can_name_is_one(name: str) -> None:
    module, _, attribute = DRIVERS[name].location.partition(":")
    assert issubclass(getattr(import_module(module), attribute), StudyDriver)


def test_every_search_key_is_used_by_some_driver() -> None:
    used = EVERY_DRIVER.union(OF_SEQUENTIAL_TEST, *(entry.keys for entry in DRIVERS.values()))
    assert used == SearchSection.model_fields.keys()


def test_overrides_reach_any_key(tmp_path: Path, make_study: MakeStudy) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(make_study()))
    texts = ["space.shots=[0, 4]", "model.dtype=bfloat16", "cluster.microbatch=3"]
    [study] = read_studies(str(path), list(map(parse_override, texts)))
    assert (study.space.shots, study.model.dtype, study.cluster.microbatch) == ([0, 4], "bfloat16", 3)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("space.shots", "has no '='; expected key=value"),
        ("space.shots=[", "is not YAML"),
        ("name.of=1", "'name' is not a section of the study; 'name' is 'tiny'"),
        ("spce.shots=[1]", "no study key 'spce'.*Did you mean 'space'"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(
    tmp_path: Path, make_study: MakeStudy, override: str, words: str
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(make_study()))
    with pytest.raises(StudyError, match=words):
        read_studies(str(path), [parse_override(override)])


def test_an_unknown_study_is_answered_with_the_shipped_ones() -> None:
    with pytest.raises(StudyError, match="no study 'quikstart'; known: .*quickstart.*Did you mean 'quickstart'"):
        read_studies("quikstart")


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "", "\ta: 1\n", "a: 1\na: 2\n", "one: two: three\n", "a: \x00"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(StudyError, match=r"s.yaml (holds a list|is not YAML|is empty)"):
        read_studies(str(path))


@pytest.mark.parametrize("name", sorted({*shipped_studies()} - {"quickstart", "layers"}))
def test_shipped_studies_take_any_model_and_task_and_are_named_by_what_they_run(name: str) -> None:
    overrides = [("model.path", "EleutherAI/gpt-j-6b"), ("task.name", "rte"), ("task.variant", "release")]
    [study] = read_studies(name, overrides)
    assert study.name == f"{name}-gpt-j-6b-rte-release"
    assert study.model.path == "EleutherAI/gpt-j-6b"


def test_a_shipped_study_without_a_model_says_that_alone_is_missing() -> None:
    with pytest.raises(StudyError, match=r"^study key 'model.path' is missing; .*as in --set model.path=embedded\.$"):
        read_studies("figure1")


def test_several_tasks_are_a_study_each_with_rows_of_their_own(tmp_path: Path, make_study: MakeStudy) -> None:
    content = make_study(task={"path": str(tmp_path)}) | {"tasks": ["sst2", "rte"]}
    del content["task"]["name"]
    (tmp_path / "rte").mkdir()
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(content))
    first, second = read_studies(str(path))
    assert (first.name, first.task.name, first.task.path) == ("tiny-sst2", "sst2", str(tmp_path))
    assert (second.name, second.task.name, second.task.path) == ("tiny-rte", "rte", str(tmp_path / "rte"))
    assert [study.task.name for study in read_studies(str(path), [("task.name", "rte")])] == ["rte"]


def test_tasks_that_are_no_list_of_names_are_refused(tmp_path: Path, make_study: MakeStudy) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(make_study() | {"tasks": [2]}))
    with pytest.raises(StudyError, match=r"study key 'tasks' is \[2\]; expected names of tasks"):
        read_studies(str(path))


def test_a_study_written_out_reads_back_the_same(make_study: MakeStudy) -> None:
    study = check_study(make_study())
    assert check_study(yaml.safe_load(study.to_yaml())) == study


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"space": {"layers": [0, 7]}}, SpecError, "layer 7 does not exist: the model has 2 layers; expected -2 to 1"),
        ({"space": {"modules": ["gate"]}}, SpecError, "module 'gate' has no matrix in a gptj model"),
        ({"model": {"path": "./nowhere"}}, ClipsweepError, "model.path is './nowhere': no such folder"),
        ({"task": {"name": "sst3"}}, ClipsweepError, "no task 'sst3'.*Did you mean 'sst2'"),
    ],
)
def test_what_model_or_task_cannot_do_is_refused_before_anything_is_written(
    make_study: MakeStudy, tmp_path: Path, cache: Path, changes: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        prepare(check_study(make_study(**changes)), tmp_path / "s", cache)
    assert not (tmp_path / "s").exists()
