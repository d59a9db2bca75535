"""What is found wanting, and what is said, before a model is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.analysis.row.row import StoredRow
from clipsweep.cluster import replica
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import StudyError, TaskError
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tokens.tokenizer import load_tokenizer
from tests.conftest import write_rows
from tests.orchestrator.stored import latest_rows
from tests.trials.written_rows import write_task

MakeStudy = Callable[..., dict[str, Any]]


@pytest.fixture
def refused(make_study: MakeStudy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Expect a study to be refused with these words, no model loaded and no folder made."""

    def never(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a model was loaded")

    def run(words: str, **sections: dict[str, Any]) -> None:
        monkeypatch.setattr(replica, "load_model", never)
        with pytest.raises(TaskError, match=words):
            run_study(check_study(make_study(**sections)), tmp_path / "s", cache, Console(quiet=True))
        assert not (tmp_path / "s").exists()

    return run


def test_classes_too_small_for_the_shots(refused: Callable[..., None], sst2_folder: Path) -> None:
    task = {"name": "sst2", "path": str(sst2_folder), "validation_size": 10}
    words = "20 shots of task 'sst2' need more rows of the class of answer '.*' than the 7"
    refused(words, task=task, space={"shots": [20]})


def test_a_train_split_too_small_for_the_release(refused: Callable[..., None], tmp_path: Path) -> None:
    write_task(tmp_path / "rte", "rte", train=100, validation=4)
    task = {"name": "rte", "variant": "release", "path": str(tmp_path / "rte"), "seed": None}
    refused("variant release of task 'rte' takes rows 200 to 204 of each class of train", task=task)


def test_windows_longer_than_the_context_however_short_the_text(
    refused: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "texts.jsonl", [{"text": f"short {n}"} for n in range(8)])
    task = {"name": "text", "text": {"path": str(tmp_path / "texts.jsonl"), "length": 4096}}
    monkeypatch.setattr("clipsweep.orchestrator.plan.prepare.load_task", lambda *_: pytest.fail("texts were read"))
    words = r"task.text.length is 4,096, but the model's context is 256 tokens; .* Set task.text.length to 256 or less"
    refused(words, task=task, space={"shots": None})


def test_a_prompt_too_long_for_the_model(refused: Callable[..., None], sst2_folder: Path) -> None:
    rows = [{"sentence": f"{'long ' * (300 if n == 7 else 1)}{n}", "label": n % 2} for n in range(60)]
    write_rows(sst2_folder / "train.jsonl", rows)
    task = {"name": "sst2", "path": str(sst2_folder), "validation_size": 10}
    place = r"row \d+ of the source's 'train' .row \d+ of (validation|test)."
    refused(rf"{place} makes a prompt of \d+ tokens with 2 demonstrations.* context is 256", task=task)


def test_a_study_file_of_the_user_s_is_not_written_over(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "study.yaml").write_text("# mine\nname: s\n")
    with pytest.raises(StudyError, match=r"study.yaml was not written by a run, .* Give another --dir"):
        prepare(check_study(make_study()), tmp_path, cache)
    assert (tmp_path / "study.yaml").read_text() == "# mine\nname: s\n"


def test_a_run_that_was_killed_after_it_wrote_its_study_file_goes_on(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    study = check_study(make_study())
    (tmp_path / "study.yaml").write_text(prepare(study, tmp_path, cache).opened.study.to_yaml())
    assert prepare(study, tmp_path, cache).opened.folder.path == tmp_path


def run_crowded(make_study: MakeStudy, folder: Path, cache: Path, console: Console) -> list[StoredRow]:
    content = make_study(task={"truncate": "demonstrations"}, space={"shots": [4, 40], "clip_rates": [0]})
    run_study(check_study(content), folder, cache, console)
    return list(latest_rows(folder).values())


def test_demonstrations_without_room_are_counted_in_rows_and_notes(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    console = Console(record=True, width=500)
    shown = {
        (row.split, row.shots): row.demonstrations for row in run_crowded(make_study, tmp_path / "s", cache, console)
    }
    assert shown["validation", 4] == 4
    assert shown["validation", 40] in range(5, 40)
    note = f"validation, 40 shots, seed 0: {shown['validation', 40]} demonstrations are in the prompt"
    assert note in console.export_text()


def test_a_study_of_the_release_takes_its_seed_and_shots_from_the_table(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    write_task(tmp_path / "cb", "cb", train=8, validation=3)
    content = make_study(task={"name": "cb", "variant": "release", "path": str(tmp_path / "cb")})
    content["task"] |= {"seed": None, "test_size": 2, "validation_size": 4}
    content["space"].pop("shots")
    opened = prepare(check_study(content), tmp_path / "s", cache).opened
    assert (opened.study.task.seed, opened.study.space.shots, opened.study.space.demo_seeds) == (66, [5], None)
    assert {opened.space.proposal(index).spec.prompt_set for index in range(len(opened.space))} == {
        PromptSet(shots=5, demo_seed=66, split="validation", task="cb")
    }


def test_a_task_without_a_release_is_refused(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    study = check_study(make_study(task={"variant": "release", "seed": None}))
    with pytest.raises(TaskError, match="task.variant is 'release', which task 'episodes' does not have"):
        prepare(study, tmp_path / "s", cache)


def copied(tiny_gptj: Path, folder: Path, **of_model: Any) -> Path:
    """A copy of a checkpoint, with other settings in its tokenizer's own model."""
    shutil.copytree(tiny_gptj, folder)
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"] |= of_model
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return folder


def test_a_token_without_an_embedding_is_refused(
    refused: Callable[..., None], sst2_folder: Path, tiny_gptj: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(copied(tiny_gptj, tmp_path / "m"))
    tokenizer.add_tokens(["[URL]"])
    tokenizer.save_pretrained(tmp_path / "m")
    rows = [{"sentence": f"film {n}{' [URL]' * (n == 7)}", "label": n % 2} for n in range(60)]
    write_rows(sst2_folder / "train.jsonl", rows)
    task = {"name": "sst2", "path": str(sst2_folder), "validation_size": 58, "test_size": 0, "demonstrations": 2}
    words = rf"row 7 of the source's 'train' .* holds '\[URL\]', which is id {len(tokenizer) - 1} of the tokenizer"
    refused(words, model={"path": str(tmp_path / "m")}, task=task)


def test_a_tokenizer_with_dropout_scores_alike_and_says_once_that_it_is_off(
    make_study: MakeStudy, tiny_gptj: Path, tmp_path: Path, cache: Path
) -> None:
    console, scores = Console(record=True, width=500), []
    for name, dropout in (("noisy", 0.3), ("plain", None)):
        model = {"path": str(copied(tiny_gptj, tmp_path / f"m-{name}", dropout=dropout))}
        study = check_study(make_study(model=model, space={"clip_rates": [0]}))
        run_study(study, tmp_path / name, cache, console)
        scores.append([row.gold_logprob for row in latest_rows(tmp_path / name).values()])
    assert scores[0] == scores[1]
    assert console.export_text().count("samples how it cuts a text (BPE dropout 0.3)") == 1


def test_a_label_without_its_space_is_told_by_the_run_and_the_report(
    make_study: MakeStudy, sst2_folder: Path, tmp_path: Path, cache: Path
) -> None:
    data = {"data": {"path": str(sst2_folder)}, "query": "{sentence}\nlabel:", "labels": {"0": "bad", "1": "good"}}
    task = {"name": "mine", "definition": data, "validation_size": 20, "test_size": 0}
    console = Console(record=True, width=500)
    run_study(check_study(make_study(task=task, space={"clip_rates": [0]})), tmp_path / "s", cache, console)
    assert console.export_text().count("follow 'label:' without a space") == 1
    assert "without a space, and this tokenizer has other tokens" in (tmp_path / "s" / "report.html").read_text()
