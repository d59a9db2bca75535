import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.cluster.replica import Replica
from clipsweep.orchestrator.cli import app
from tests.conftest import REAL_MODEL, REAL_SST2, needs_shared, tiny_study, write_rows
from tests.orchestrator.commands.typed import json_of, runner

ROWS = ["--task", "episodes", "--set", "task.validation_size=20", "--set", "task.test_size=20", "--set", "task.seed=0"]
OF_THE_RUN = ("study", "seconds", "started_at", "finished_at")
CLIP = "layer=-1,module=mlp,clip_rate=0.9"
EPISODES = "embedded --task episodes --set task.validation_size=20"
MakeStudy = Callable[..., dict[str, Any]]


def lasting(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in OF_THE_RUN}


def test_json_is_the_row_that_results_has(tiny_gptj: Path, finished_study: Path, cache: Path) -> None:
    stored = {row["trial_id"]: row for row in json_of("results", str(finished_study))}
    rows = json_of("evaluate", str(tiny_gptj), *ROWS, "--shots", "2", "--clip", CLIP)
    assert [lasting(row) for row in rows] == [lasting(stored[rows[0]["trial_id"]])]
    assert (rows[0]["layer"], rows[0]["clip_rate"]) == (1, 0.9)


def test_a_studys_file_names_task_rows_and_shots(tiny_gptj: Path, finished_study: Path, cache: Path) -> None:
    rows = json_of("evaluate", str(tiny_gptj), "--task", str(finished_study / "study.yaml"))
    assert rows[0]["trial_id"] in {row["trial_id"] for row in json_of("results", str(finished_study))}


def test_it_prints_scores_with_the_interval_and_what_turns(tiny_gptj: Path, cache: Path) -> None:
    typed = ["evaluate", str(tiny_gptj), *ROWS, "--shots", "2", "--clip", CLIP, "--against", "untouched"]
    shown, document = runner.invoke(app, [*typed, "--limit", "1"]).stdout, json_of(*typed)
    assert f"{document['rows'][0]['accuracy']:.4f}" in shown
    assert "95 % interval" in shown
    assert "mlp of layer 1 at clip rate 0.9" in shown
    [flips] = document["flips"]
    assert f"{flips['gained']} gained, {flips['lost']} lost of 20" in shown
    texts = [flip["text"].strip() for flip in flips["flips"]]
    assert sum(text in shown for text in texts) == (flips["gained"] > 0) + (flips["lost"] > 0)
    assert len(texts) > 2


def test_flips_are_printed_as_many_as_are_asked_for(finished_study: Path, cache: Path) -> None:
    document = json_of("flips", str(finished_study), "--split", "validation")
    assert (document["split"], len(document["flips"])) == ("validation", document["gained"] + document["lost"])
    shown = runner.invoke(app, ["flips", str(finished_study), "--split", "validation", "--limit", "1"]).stdout
    assert f"the first 1 of {document['gained']}; --limit shows more" in shown
    assert document["flips"][0]["text"].strip() in shown


def test_of_more_than_two_labels_a_wrong_one_is_called_wrong(make_study: MakeStudy, tmp_path: Path) -> None:
    rows = [{"text": f"oak fox moss trail {number}", "label": number % 3} for number in range(60)]
    write_rows(tmp_path / "rows" / "train.jsonl", rows)
    definition = {"data": {"path": str(tmp_path / "rows")}, "query": " {text}", "labels": [" RED", " BLUE", " GOLD"]}
    task = {"name": "mine", "definition": definition, "test_size": 0}
    study, folder = tmp_path / "study.yaml", str(tmp_path / "s")
    study.write_text(yaml.safe_dump(make_study(task=task, space={"layers": [0], "clip_rates": [0.9]})))
    assert runner.invoke(app, ["run", str(study), "--dir", folder]).exit_code == 0
    trial = next(row["trial_id"] for row in json_of("results", folder) if row["clips"])
    without, told = (runner.invoke(app, ["flips", folder, trial, *more]).stdout for more in ([], ["--labels"]))
    assert re.search("wrong → ' |' → wrong", without)
    assert not re.search("wrong → ' |' → wrong", told)
    assert without.splitlines()[:4] == told.splitlines()[:4]


# What users get wrong


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model may be loaded."""

    def refuse(*_: Any) -> None:
        raise AssertionError("weights are loaded")

    monkeypatch.setattr(Replica, "__init__", refuse)


@pytest.mark.usefixtures("no_weights", "cache")
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (". --task episodes", "has no config.json; expected a folder that save_pretrained wrote"),
        ("./nowhere --task episodes", "model.path is './nowhere': no such folder"),
        ("embedded --task episode", "no task 'episode'; known: "),
        ("embedded", "Missing option '--task'"),
        (f"{EPISODES} --path rows", "but task 'episodes' draws its rows"),
        ("embedded --task sst2 --path ./nowhere", "task.path is './nowhere': no such folder"),
        (f"{EPISODES} --shots 300", "Ask for fewer shots"),
        (
            "embedded --task text --set task.text=texts.txt --set task.text.length=513",
            "task.text.length is 513, but the model's context is 512 tokens",
        ),
        (f"{EPISODES} --shots 100", "the model's context is 512. Use fewer shots"),
        (f"{EPISODES} --shots -1", "expected a whole number of 0 or more"),
        (f"{EPISODES} --split test --set task.test_size=0", "has no test split here; expected one of validation"),
        (f"{EPISODES} --split tset", "'tset' is not one of"),
        (f"{EPISODES} --dtype fp16", "'fp16' is not one of"),
        (f"{EPISODES} --clip layer=99,module=mlp,clip_rate=0.9", "layer 99 does not exist: the model has 6 layers"),
        (f"{EPISODES} --clip layer=0,module=gate,clip_rate=0.9", "module 'gate' has no matrix in a gptj model"),
        (f"{EPISODES} --clip {CLIP} --clip {CLIP}", "is clipped twice in one trial"),
        (f"{EPISODES} --clip {CLIP},layr=2", "kind of clip 'svd' takes no"),
        (f"{EPISODES} --against untouched", "nothing is clipped"),
        (f"{EPISODES} --against ./nowhere", "model.path is './nowhere': no such folder"),
        (f"{EPISODES} --set space.layers=[0]", "--set space.layers has no effect on one evaluation"),
        (f"{EPISODES} --set cluster.replicas=2", "--set cluster.replicas has no effect on one evaluation"),
        (f"{EPISODES} --set task.sed=1", "Did you mean 'task.seed'"),
        (f"{EPISODES} --limit few", "expected a whole number of 0 or more"),
    ],
)
def test_a_mistake_is_told_before_weights_are_loaded(
    typed: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, ["evaluate", *typed.split()])
    said = " ".join(result.stderr.replace("│", " ").split())
    assert (result.exit_code, words in said) == (2, True), said
    assert result.stdout == ""


@pytest.mark.slow
@needs_shared
def test_of_real_rows_and_a_real_model_the_row_is_the_one_that_a_study_stores(tmp_path: Path, cache: Path) -> None:
    lines = (REAL_SST2 / "train.jsonl").read_text().splitlines(keepends=True)[:400]
    (tmp_path / "train.jsonl").write_text("".join(lines))
    task = {"name": "sst2", "path": str(tmp_path), "validation_size": 32, "test_size": 0}
    space = {"layers": [-1], "shots": [4], "clip_rates": [0.9]}
    study, folder = tmp_path / "study.yaml", str(tmp_path / "s")
    study.write_text(yaml.safe_dump(tiny_study(REAL_MODEL, task=task, space=space)))
    assert runner.invoke(app, ["run", str(study), "--dir", folder]).exit_code == 0
    stored = {row["trial_id"]: row for row in json_of("results", folder)}
    typed = ["evaluate", str(REAL_MODEL), "--task", str(study), "--clip", CLIP, "--against", "untouched"]
    document = json_of(*typed)
    again = [*document["rows"], *document["against"]]
    assert [lasting(row) for row in again] == [lasting(stored[row["trial_id"]]) for row in again]
    assert {row["trial_id"] for row in again} == stored.keys()
    assert document["gains"][0]["estimate"] == pytest.approx(again[0]["accuracy"] - again[1]["accuracy"])
