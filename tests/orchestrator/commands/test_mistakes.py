"""What users get wrong: each mistake is answered on one readable screen, with exit code 2, before anything runs."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.orchestrator.cli import app
from tests.orchestrator.commands.typed import runner

STUDY: dict[str, Any] = {
    "name": "mine",
    "model": {"path": "embedded"},
    "task": {"name": "episodes", "validation_size": 20, "test_size": 20, "seed": 0},
    "space": {"layers": [0], "modules": ["mlp"], "shots": [2], "clip_rates": [0, 0.5]},
    "cluster": {"replicas": 0},
}
DEFINITION = {"data": {"path": "rows"}, "query": "{a}", "labels": ["no", "yes"]}

# A key of the study, the value that stands there, and the fragment that a user needs.
VALUES: list[tuple[str, Any, str]] = [
    ("name", "my study", "Say 'my-study'"),
    ("name", "../up", "Say 'up'"),
    ("name", "", "It is empty"),
    ("name", None, "is null; expected a folder's name"),
    ("name", 2024, "Put it in quotes: '2024'"),
    ("name", True, "put text in quotes"),
    ("name", ["a"], "is ['a']; expected a folder's name"),
    ("name", "n" * 300, "200 at most"),
    ("model", "embedded", "Write it as {path: embedded}"),
    ("model", None, "'model' is null"),
    ("model", [1], "expected keys and values: path, dtype"),
    ("model.path", 3, "Put it in quotes: '3'"),
    ("model.path", None, "Give it a value"),
    ("model.path", "./nowhere", "model.path is './nowhere': no such folder"),
    ("model.pth", "embedded", "Did you mean 'model.path'"),
    ("model.dtype", "fp16", "Did you mean 'float16'"),
    ("model.dtype", "float64", "expected 'float32', 'bfloat16' or 'float16'"),
    ("model.dtype", 16, "is 16; expected 'float32'"),
    ("model.allow_bin", "yes", "expected true or false"),
    ("model.allow_bin", 1, "expected true or false"),
    ("model.revision", 3, "Put it in quotes: '3'"),
    ("model.revision", "main", "is a folder; remove the revision"),
    ("task", "sst2", "Write it as {name: sst2}"),
    ("task", None, "'task' is null"),
    ("task.name", "sst3", "Did you mean 'sst2'"),
    ("task.name", ["sst2"], "is ['sst2']; expected text"),
    ("task.nmae", "sst2", "Did you mean 'task.name'"),
    ("task.variant", "papr", "Did you mean 'paper'"),
    ("task.variant", "release", "which task 'episodes' does not have"),
    ("task.truncate", "left", "expected 'error' or 'demonstrations'"),
    ("task.validation_size", "many", "is 'many'; expected"),
    ("task.validation_size", 1.5, "is 1.5; expected"),
    ("task.demonstrations", 0, "expected a whole number of 1 or more"),
    ("task.path", "./nowhere", "draws its rows"),
    ("task.definition", 3, "expected keys and values: data, query"),
    ("task.definition", "nowhere.yaml", "no such file"),
    ("task.definition", {"query": "{a}"}, "'task.definition.data' is missing"),
    ("task.definition", DEFINITION | {"labels": "no"}, "a list of two label words or more"),
    ("task.definition", DEFINITION | {"metric": "f1"}, "'accuracy', 'macro_f1' or 'gold_logprob'"),
    ("task.definition", DEFINITION | {"query": "{a"}, "template '{a' is malformed"),
    ("task.definition", DEFINITION | {"candidates": ["a", "b"]}, "give one of the three"),
    ("space", None, "'space' is null"),
    ("space", ["layers"], "expected keys and values: layers"),
    ("space.layer", [0], "Did you mean 'space.layers'"),
    ("space.layers", "al", "Did you mean 'all'"),
    ("space.layers", [0, "x"], "'space.layers.1' is 'x'"),
    ("space.layers", [], "is []; expected a list of layers"),
    ("space.layers", [99], "layer 99 does not exist"),
    ("space.layers", {"top": 3}, "Did you mean 'space.layers.top_condition'"),
    ("space.layers", {"top_condition": 0}, "expected a whole number of 1 or more"),
    ("space.modules", "mpl", "Did you mean 'mlp'"),
    ("space.modules", ["MLP"], "Did you mean 'mlp'"),
    ("space.modules", ["gate"], "module 'gate' has no matrix in a gptj model"),
    ("space.modules", {"mlp": True}, "expected a list"),
    ("space.modules", 3, "is 3; expected a list"),
    ("space.shots", "ten", "is 'ten'; expected a list"),
    ("space.shots", -1, "is -1; expected a list"),
    ("space.shots", ["4"], "write 4 without quotes"),
    ("space.shots", [True], "'space.shots.0' is true"),
    ("space.shots", [10**30], "expected a whole number"),
    ("space.demo_seeds", [0.5], "'space.demo_seeds.0' is 0.5"),
    ("space.kinds", "sdv", "Did you mean 'svd'"),
    ("space.kinds", ["svd", {"randum": {"seed": 1}}], "Did you mean 'space.kinds.1.random'"),
    ("space.kinds", {"random": {"sed": 1}}, "Did you mean 'space.kinds.random.seed'"),
    ("space.kinds", ["svd", {"random": {"seed": -1}}], "'space.kinds.1.random.seed' is -1; expected a whole number of"),
    (
        "space.kinds",
        [{"svd": {"seed": 1}}],
        "no study key 'space.kinds.0.svd.seed'; known in 'space.kinds.0.svd': none",
    ),
    ("space.kinds", "window", "'space.kinds' is 'window'; expected a list"),
    ("space.kinds", ["window"], "or one with its options, as in {window: {drop: [0, 8]}}"),
    ("space.kinds", {"window": {}}, "'space.kinds.window.drop' is missing; expected two ranks [a, b]"),
    ("space.kinds", {"window": {"drop": [8, 8]}}, "'space.kinds.window.drop' is [8, 8]; expected two ranks"),
    ("space.kinds", [{}], "'space.kinds.0' is {}; expected 'svd'"),
    ("space.kinds", [{"random": {}, "zero": {}}], "expected 'svd', 'magnitude'"),
    ("space.kinds", {"cumulative": {"rates": [0.5, 0.1]}}, "expected a list of fractions in [0, 1), ascending"),
    ("space.kinds", {"whitened": {"split": "test"}}, "is 'test'; expected 'demonstrations' or 'validation'"),
    ("space.kinds", {"whitened": {"split": "validaton"}}, "Did you mean 'validation'"),
    (
        "space.kinds",
        {"whitened": {"split": "validation", "rows": 5000}},
        "the first 5000 rows of validation, which has",
    ),
    ("space.kinds", {"whitened": {"rows": 8}}, "is 8, which has no effect with split: demonstrations"),
    ("space.kinds", {"whitened": {"epsilon": 0}}, "'space.kinds.whitened.epsilon' is 0; expected a number above 0"),
    ("space.clip_rates", 9.5, "must be divided by 10"),
    ("space.clip_rates", [0.5, 1], "'space.clip_rates.1' is 1"),
    ("space.clip_rates", "90%", "write 0.9 without quotes"),
    ("space.clip_rates", [-0.1], "expected a fraction in [0, 1)"),
    ("space.clip_rates", [float("nan")], "expected a fraction in [0, 1)"),
    ("space.clip_rates", {"low": 0.5, "hihg": 0.9}, "Did you mean 'space.clip_rates.high'"),
    ("space.clip_rates", {"low": 0.9, "high": 0.5}, "expected low below high"),
    ("space.clip_rates", {"high": 0.9}, "visits listed rates"),
    ("space.clips", 2, "expected keys and values: max"),
    ("space.clips", {"max": 2}, "set search.driver: bayes"),
    ("search", "grid", "expected keys and values: driver"),
    ("search.driver", "bayse", "Did you mean 'bayes'"),
    ("search.driver", "bayes", "'search.n_trials' is missing"),
    ("search.sampler", "tpo", "Did you mean 'tpe'"),
    ("search.race", "halv", "Did you mean 'halving'"),
    ("search.race", False, "for no race"),
    ("search.n_trials", 0, "Remove the key for no limit"),
    ("search.max_hours", float("inf"), "Remove the key for no limit"),
    ("search.patience", "soon", "expected a whole number of 1 or more"),
    ("search.indifference", "5e-3", "write 0.005 without quotes"),
    ("search.objectives", "acc", "Did you mean 'accuracy'"),
    ("search.winner", "best", "Did you mean 'best_mean'"),
    ("cluster", 2, "expected keys and values: replicas"),
    ("cluster.replicas", "many", "expected 'auto' or a whole number of 0 or more"),
    ("cluster.replicas", -1, "expected 'auto' or a whole number of 0 or more"),
    ("cluster.replicas", 1.5, "expected 'auto' or a whole number of 0 or more"),
    ("cluster.replcas", 2, "Did you mean 'cluster.replicas'"),
    ("cluster.gpus_per_replica", 0, "expected a number above 0"),
    ("cluster.gpus_per_replica", 1.5, "a whole number of GPUs"),
    ("cluster.microbatch", 0, "expected 'auto' or a whole number of 1 or more"),
    ("cluster.activation_budget", 8, "a number with a unit"),
    ("cluster.address", "head:6379", "Remove one of the two"),
    ("cluster.address", 6379, "Put it in quotes"),
    ("clip_rates", [0.5], "Did you mean 'space.clip_rates'"),
    ("shots", 4, "Did you mean 'space.shots'"),
    ("replicas", 4, "Did you mean 'cluster.replicas'"),
    ("serach", {"driver": "grid"}, "Did you mean 'search'"),
    ("tasks", 3, "expected names of tasks"),
    ("tasks", [], "expected names of tasks"),
]

# What is wrong with the file itself, and the fragment that a user needs.
FILES: list[tuple[bytes, str]] = [
    (b"", "is empty"),
    (b"- a\n", "holds a list"),
    (b"text\n", "holds one value alone"),
    (b"name: [a\n", "is not YAML"),
    (b"name: a\n\tmodel: b\n", "a tab stands"),
    (b"name: a\nname: b\n", "key 'name' stands twice"),
    (b"name: a: b\n", "a second colon"),
    (b"\x89PNG\r\n\x1a\n", "not a text file in UTF-8"),
    ("name: a\n".encode("utf-16"), "not a text file in UTF-8"),
    (b"name: \x00\n", "which no text has"),
    (b"\xef\xbb\xbfname: my study\r\n", "Say 'my-study'"),
    (b"1: a\n", "no study key '1'"),
    (b"space.shots: 4\n", "as in space: {shots: ...}"),
]

# What is typed, and the fragment that a user needs. STUDY is a right study file, DIR an empty folder, FILE a file.
COMMANDS: list[tuple[str, str]] = [
    ("run", "Missing argument"),
    ("rum STUDY", "Did you mean 'run'"),
    ("run stduy.yaml", "Did you mean 'study.yaml'"),
    ("run quikstart", "Did you mean 'quickstart'"),
    ("run nowhere/study.yaml", "there is no folder 'nowhere'"),
    ("run DIR", "is a folder"),
    ("run FILE/study.yaml", "no such file"),
    ("run figure1", "--set model.path=embedded"),
    ("run STUDY --set space.shots", "has no '='"),
    ("run STUDY --set =4", "has no whole key"),
    ("run STUDY --set space.shots=[", "is not YAML"),
    ("run STUDY --set space.shot=4", "Did you mean 'space.shots'"),
    ("run STUDY --set name.a.b=1", "is not a section"),
    ("run STUDY --set space.shots=1 --set space.shots=2", "is given twice"),
    ("run STUDY --replicas many", "expected 'auto' or a whole number of 0 or more"),
    ("run STUDY --replicas -1", "expected 'auto' or a whole number of 0 or more"),
    ("run STUDY --replicas 1 --address head", "expected HOST:PORT"),
    ("run STUDY --replicas 1 --address 127.0.0.1:1", "nothing listens there"),
    ("run STUDY --dir /proc/x", "making the study's folder, /proc/x, failed"),
    ("run STUDY --dir FILE", "a file of that name is in the way"),
    ("run STUDY --dir FILE/below", "a part of the path is a file"),
    ("run STUDY --dry-rnu", "--dry-run"),
    ("run STUDY -q -v", "contradict each other"),
    ("run STUDY --set space.shots=[100]", "need more rows of the class of answer"),
    ("status", "Missing argument"),
    ("status STUDY", "is a file and holds no study"),
    ("status DIR", "holds no study"),
    ("status nowhere", "'clipsweep list' shows"),
    ("best DIR", "holds no study"),
    ("results DIR", "holds no study"),
    ("results DIR --sort accuarcy", "Did you mean 'accuracy'"),
    ("results DIR --where shot=4", "Did you mean 'shots'"),
    ("results DIR --where shots=ten", "expected a number"),
    ("results DIR --where state=complet", "Did you mean 'complete'"),
    ("results DIR --top 0", "expected a whole number of 1 or more"),
    ("results DIR --top ten", "expected a whole number of 1 or more"),
    ("results DIR --format html", "csv"),
    ("report DIR", "holds no study"),
    ("list nowhere", "is no folder"),
    ("list FILE", "is no folder"),
    ("init STUDY", "is there already"),
    ("init DIR", "is a folder"),
    ("init FILE/s.yaml", "a file of that name is in the way"),
    ("init new.yaml --task sst3", "Did you mean 'sst2'"),
    ("model show ./nowhere", "no such folder"),
    ("model show DIR", "config.json"),
    ("model shwo embedded", "Did you mean 'show'"),
    ("task show sst3", "Did you mean 'sst2'"),
    ("task show nowhere.yaml", "no such file"),
    ("task show episodes --row 100000", "row 100000 of validation does not exist"),
    ("task show episodes --row -1", "expected a whole number of 0 or more"),
    ("task show episodes --shots many", "expected a whole number of 0 or more"),
    ("task show episodes --demo-seed 0.5", "expected a whole number of 0 or more"),
    ("task show episodes --set task.sede=1", "Did you mean 'task.seed'"),
    ("spectrum ./nowhere", "no such folder"),
    ("spectrum embedded --modules atn", "Did you mean 'attn'"),
    ("spectrum embedded --layers 99", "layer 99 does not exist"),
    ("spectrum embedded --layers x", "--layers is 'x'; expected 'all' or whole numbers"),
    ("spectrum embedded --dtype fp16", "float16"),
]
FORBIDDEN = ("Traceback", "Errno", "Input should be", "valid string", "pydantic", "pattern", "literal_error", "extra_")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """A working folder with a right study file, an empty folder and a file."""
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(*arguments: str) -> str:
    """What a mistake is answered with, in one line; a screen of it at most, and nothing on standard output."""
    result = runner.invoke(app, list(arguments))
    assert result.exit_code == 2, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) <= 15
    assert len(result.stderr) <= 800
    assert [word for word in FORBIDDEN if word in result.stderr] == []
    return " ".join(result.stderr.replace("│", " ").split())


def with_value(key: str, value: Any) -> dict[str, Any]:
    """The right study with one thing wrong."""
    study = yaml.safe_load(yaml.safe_dump(STUDY))
    *sections, last = key.split(".")
    place = study
    for section in sections:
        place = place.setdefault(section, {})
    place[last] = value
    return dict(study)


@pytest.mark.parametrize(("key", "value", "words"), VALUES)
def test_a_wrong_key_or_value_is_answered_on_one_screen(here: Path, key: str, value: Any, words: str) -> None:
    (here / "wrong.yaml").write_text(yaml.safe_dump(with_value(key, value)))
    assert words in refusal("run", "wrong.yaml")
    assert not (here / "studies").exists()


@pytest.mark.parametrize(("content", "words"), FILES)
def test_a_wrong_file_is_answered_on_one_screen(here: Path, content: bytes, words: str) -> None:
    (here / "wrong.yaml").write_bytes(content)
    assert words in refusal("run", "wrong.yaml")


@pytest.mark.parametrize(("typed", "words"), COMMANDS)
def test_a_wrong_command_is_answered_on_one_screen(here: Path, typed: str, words: str) -> None:
    places = {"STUDY": "study.yaml", "DIR": "folder", "FILE": "file"}
    arguments = [os.fspath(places.get(word, word.replace("FILE/", "file/"))) for word in typed.split()]
    assert words in refusal(*arguments)
    assert not (here / "studies").exists()


def test_a_cache_that_cannot_be_written_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSWEEP_CACHE", "/proc/cache")
    assert "making the cache folder (CLIPSWEEP_CACHE), /proc/cache, failed" in refusal("run", "study.yaml")


def test_what_the_study_alone_can_tell_is_told_before_a_missing_model_and_missing_rows(here: Path) -> None:
    wrong = with_value("space.clip_rates", 9.5)
    wrong["model"]["path"], wrong["task"] = "./nowhere", {"name": "sst2", "path": "./nowhere"}
    (here / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    assert "must be divided by 10" in refusal("run", "wrong.yaml")


def test_an_unknown_task_is_told_before_a_missing_model(here: Path) -> None:
    wrong = with_value("task.name", "sst3")
    wrong["model"]["path"] = "./nowhere"
    (here / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    assert "Did you mean 'sst2'" in refusal("run", "wrong.yaml")


def test_a_missing_model_is_told_before_rows_are_read(here: Path) -> None:
    wrong = with_value("task", {"name": "sst2", "path": "folder"})
    wrong["model"]["path"] = "./nowhere"
    (here / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    assert "model.path is './nowhere'" in refusal("run", "wrong.yaml")


def test_of_many_mistakes_the_first_few_are_told(here: Path) -> None:
    (here / "wrong.yaml").write_text(yaml.safe_dump(STUDY | {f"key{number}": number for number in range(50)}))
    assert "and 44 more." in runner.invoke(app, ["run", "wrong.yaml"]).stderr
