import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from clipsweep.orchestrator.cli import app
from tests.conftest import tiny_study, write_rows

runner = CliRunner()
Show = Callable[..., str]
ROWS = [{"sentence": f"film {n} was dull", "label": n % 2} for n in range(60)]


@pytest.fixture
def show(tmp_path: Path, cache: Path) -> Show:
    """What ``task show`` prints of sixty rows with SST-2's columns; ``code`` is the exit code to expect."""
    write_rows(tmp_path / "rows" / "train.jsonl", ROWS)

    def run(*options: str, name: str = "sst2", code: int = 0) -> str:
        places = ["--set", f"task.path={tmp_path / 'rows'}", "--set", "task.validation_size=20"]
        result = runner.invoke(app, ["task", "show", name, *places, *options])
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.stderr

    return run


def test_the_prompt_is_shown_with_its_demonstrations_and_answers(show: Show) -> None:
    lines = show("--shots", "1").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("    text:"))
    assert [line.strip()[:10] for line in lines[start : start + 4]] == ["text: film", "sentiment:"] * 2
    assert lines[start + 3] == "    sentiment:▁"
    assert sum("← right" in line for line in lines) == 1
    assert any(line.startswith("answer 0    ' negative'") for line in lines)


def test_the_sizes_of_the_splits_are_told(show: Show) -> None:
    view = json.loads(show("--json"))
    kept = view["kept_for_demonstrations"]
    assert view["splits"] == {"validation": 20, "test": 60 - 20 - kept}
    assert view["dropped"] == {"demonstrations": 0, "validation": 0}


def test_the_files_that_were_read_are_told(show: Show, tmp_path: Path) -> None:
    folder = str(tmp_path / "rows")
    assert json.loads(show("--json"))["files"] == [
        {"source": folder, "split": "train", "name": "train.jsonl", "rows": 60}
    ]
    assert f"read        train.jsonl (60 rows) of {folder}, for its split train\n" in show()


def test_of_many_files_the_first_are_told(show: Show, tmp_path: Path) -> None:
    for number in range(6):
        write_rows(tmp_path / "six" / f"train-0000{number}-of-00006.jsonl", [ROWS[number], ROWS[number + 6]])
    shown = show("--set", f"task.path={tmp_path / 'six'}", "--set", "task.validation_size=4", "--shots", "1")
    assert "train-00003-of-00006.jsonl (2 rows) and 2 more of " in shown


def test_without_a_model_no_tokens_are_counted_and_it_says_how_to_see_them(show: Show) -> None:
    assert "answer_tokens" not in json.loads(show("--json"))
    assert "Tokens are shown with --model" in show()


def test_tokens_and_lengths_are_those_of_the_model_s_tokenizer(show: Show, tiny_gptj: Path) -> None:
    view = json.loads(show("--json", "--shots", "2", "--model", str(tiny_gptj)))
    lengths = view["prompt_tokens"]["validation"]
    assert view["context_length"] == 256
    assert view["demonstrations"] == 2
    assert [len(answer["ids"]) == len(answer["tokens"]) > 0 for answer in view["answer_tokens"]] == [True, True]
    assert lengths["rows"] == 20 == sum(count for _, _, count in lengths["bins"])
    assert lengths["shared"] < lengths["least"] <= lengths["median"] <= lengths["most"]


def test_only_the_tokenizer_of_a_model_is_needed(show: Show, tiny_gptj: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    for path in tiny_gptj.glob("*.json"):
        (tmp_path / "bare" / path.name).write_bytes(path.read_bytes())
    assert "lengths     validation:" in show("--shots", "2", "--model", str(tmp_path / "bare"))


def test_a_file_that_defines_a_task_is_shown(show: Show, tmp_path: Path) -> None:
    definition: dict[str, Any] = {
        "data": {"path": "nowhere/else"},
        "query": "{sentence} =>",
        "labels": [" bad", " good"],
        "shots": 3,
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(definition))
    view = json.loads(show("--json", name=str(tmp_path / "mine.yaml")))
    assert (view["task"], view["shots"], view["answers"]) == ("mine", 3, [" bad", " good"])
    assert view["prompt"].count("=>") == 4


def test_a_row_that_does_not_exist_is_refused(show: Show) -> None:
    assert "row 20 of validation does not exist; expected 0 to 19" in show("--row", "20", code=2)


def test_a_shipped_study_can_be_looked_at(show: Show) -> None:
    view = json.loads(show("--json", "--set", "task.name=sst2", name="figure1"))
    assert (view["task"], view["variant"], view["shots"]) == ("sst2", "paper", 10)


def test_a_study_is_shown_with_its_own_shots_and_seed(show: Show, tiny_gptj: Path, tmp_path: Path) -> None:
    study = {"name": "s", "model": {"path": str(tiny_gptj)}, "task": {"name": "sst2"}}
    first, second = ({**study, "space": {"shots": [0, 3], "demo_seeds": [seed]}} for seed in (4, 5))
    shown = []
    for number, content in enumerate((first, second)):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(content))
        shown.append(json.loads(show("--json", name=str(tmp_path / f"{number}.yaml"))))
    assert [view["shots"] for view in shown] == [3, 3]
    assert shown[0]["prompt"] != shown[1]["prompt"]
    assert json.loads(show("--json", "--demo-seed", "5", name=str(tmp_path / "0.yaml"))) == shown[1]


def test_a_demonstration_seed_has_no_place_in_the_release(show: Show) -> None:
    options = ("--set", "task.variant=release", "--demo-seed", "1")
    assert "--demo-seed has no effect in variant release" in show(*options, code=2)


def test_windows_of_text_beyond_the_context_are_refused(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    write_rows(tmp_path / "texts.jsonl", [{"text": f"wave after wave {number}"} for number in range(30)])
    text = {"path": str(tmp_path / "texts.jsonl"), "length": 300}
    task = {"text": text, "validation_size": 10, "test_size": 5}
    content = tiny_study(tiny_gptj, space={"shots": [0]}) | {"task": task}
    (tmp_path / "text.yaml").write_text(yaml.safe_dump(content))
    result = runner.invoke(app, ["task", "show", str(tmp_path / "text.yaml")])
    assert (result.exit_code, "300, but the model's context is 256 tokens" in result.stderr) == (2, True), result.stderr


def test_prompts_that_are_too_long_are_counted(show: Show, tiny_gptj: Path, tmp_path: Path) -> None:
    rows = [{"sentence": f"{'long ' * (300 if n % 3 == 0 else 1)}{n}", "label": n % 2} for n in range(60)]
    write_rows(tmp_path / "long" / "train.jsonl", rows)
    options = ("--shots", "0", "--set", f"task.path={tmp_path / 'long'}", "--model", str(tiny_gptj))
    too_long = json.loads(show("--json", *options))["prompt_tokens"]["validation"]["too_long"]
    assert 0 < too_long < 20
    assert f"{too_long} of these are longer than the context, so a study" in show(*options)


def test_an_unknown_task_is_answered_with_the_nearest(show: Show) -> None:
    assert "no task 'sst3'" in show(name="sst3", code=2)


@pytest.fixture
def show_own(tmp_path: Path, cache: Path, tiny_gptj: Path) -> Show:
    """What ``task show`` prints of a task of ten rows and another one, whose text is given."""

    def run(*options: str, text: str = "wave", query: str = "text: {text}\nlabel:", space: str = " ") -> str:
        rows = [{"text": f"wave {n}", "label": n % 2} for n in range(10)] + [{"text": text, "label": 1}]
        write_rows(tmp_path / "own" / "train.jsonl", rows)
        definition = {"data": {"path": "own"}, "query": query, "labels": {0: f"{space}no", 1: f"{space}yes"}}
        splits = {"demonstrations": "train", "validation": "train", "test": None}
        (tmp_path / "own.yaml").write_text(yaml.safe_dump({**definition, "splits": splits, "demonstrations": 2}))
        arguments = ["task", "show", str(tmp_path / "own.yaml"), "--model", str(tiny_gptj), "--shots", "1", *options]
        result = runner.invoke(app, arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_a_prompt_is_shown_as_it_is_read_with_one_beginning(show_own: Show) -> None:
    view = json.loads(show_own("--json", query="<|endoftext|>text: {text}\nlabel:"))
    assert view["prompt"].count("<|endoftext|>") == 1
    assert view["prompt"].startswith("<|endoftext|>text: wave")
    assert view["special_tokens"] == [{"token": "<|endoftext|>", "id": 0, "count": 1}]


def test_one_shot_and_one_demonstration_are_no_plural(show_own: Show) -> None:
    shown = show_own()
    assert ", 1 shot; ⏎ ends a line" in shown
    assert "; 1 demonstration is in the prompt" in shown


def test_the_special_tokens_of_the_shown_prompt_are_counted_wherever_they_stand(show_own: Show) -> None:
    view = json.loads(show_own("--json", query="text: {text}<|endoftext|>\nlabel:"))
    assert view["prompt"].count("<|endoftext|>") == 3
    assert view["special_tokens"] == [{"token": "<|endoftext|>", "id": 0, "count": 3}]


def test_special_tokens_in_rows_are_told_and_are_none_in_the_prompt(show_own: Show) -> None:
    lines = show_own(text="film <|endoftext|> end").splitlines()
    assert "special     '<|endoftext|>' (id 0), 1 in the prompt" in lines
    assert any(line.startswith("note        1 of 9 rows of validation hold the text of a special") for line in lines)


def test_a_label_without_its_space_is_remarked_on(show_own: Show) -> None:
    assert json.loads(show_own("--json"))["notes"] == []
    (note,) = json.loads(show_own("--json", space=""))["notes"]
    assert "follows 'label:' without a space" in note


def test_a_window_of_text_is_shown_with_what_is_scored_of_it(cache: Path, tiny_gptj: Path, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("the film was dull")
    keys = [f"task.text={tmp_path / 'book.txt'}", "task.test_size=0", "task.text.length=16"]
    options = [part for key in keys for part in ("--set", key)]
    result = runner.invoke(app, ["task", "show", "text", "--model", str(tiny_gptj), *options])
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines() if line.startswith(("scored", "special", "scoring"))]
    assert lines[0] == ["scoring", "text;", "the", "winner", "is", "picked", "by", "nll"]
    assert lines[1][:5] == ["scored", "'the", "film", "was", "dull'"]
    assert lines[2][:2] == ["special", "'<|endoftext|>'"]
