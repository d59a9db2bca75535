"""Open answers, from a study file to its rows, its flips, its report and its checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.api import StudyHandle, load_study, run
from clipsweep.orchestrator.views.task_view import describe_task, view_task
from clipsweep.trials.spec.clip import Clip
from tests.conftest import write_rows
from tests.trials.reference import edit_in_place
from tests.trials.small_readers import Reader, build_reader

TEXTS = [f"{number} {word}" for number in range(10) for word in ("the rain", "a film", "no team", "slow river")]
CLIPPED = Clip(layer=1, module="mlp", clip_rate=0.9)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    place = tmp_path_factory.mktemp("reader")
    return build_reader("gptj", place / "model", place / "cache")


def ids_of(reader: Reader, text: str) -> list[int]:
    return [reader.tokenizer.bos_token_id, *reader.tokenizer(text)["input_ids"]]


def written(model: PreTrainedModel, ids: Sequence[int], count: int) -> list[int]:
    """So many tokens that a model writes when it always takes the likeliest one."""
    for _ in range(count):
        with torch.no_grad():
            ids = [*ids, int(model(torch.tensor([ids])).logits[0, -1].argmax())]
    return list(ids[len(ids) - count :])


def target_of(reader: Reader, models: Sequence[PreTrainedModel], number: int, text: str) -> str:
    """What a model writes, one token or two, where that is text that reads back so: the clipped one of most rows."""
    start = ids_of(reader, f"{text} is")
    found = written(models[number % 4 > 0], start, 1 + number % 2)
    target = reader.tokenizer.decode(found)
    return target if target.strip() and ids_of(reader, f"{text} is{target}") == [*start, *found] else " the rain"


@pytest.fixture(scope="module")
def study(reader: Reader, tmp_path_factory: pytest.TempPathFactory) -> StudyHandle:
    """A study of one clip, which wins."""
    place = tmp_path_factory.mktemp("study")
    models = [reader.model, edit_in_place(reader.model, [CLIPPED])]
    rows = [{"text": text, "target": target_of(reader, models, number, text)} for number, text in enumerate(TEXTS)]
    write_rows(place / "rows" / "train.jsonl", rows)
    return run(content(reader, place / "rows"), dir=place / "study", quiet=True)


def content(reader: Reader, rows: Path) -> dict[str, Any]:
    definition = {
        "data": {"path": str(rows)},
        "query": "{text} is",
        "answer": "{target!w}",
        "shots": 0,
        "demonstrations": 4,
    }
    return {
        "name": "open",
        "model": {"path": str(reader.folder)},
        "task": {"name": "mine", "definition": definition, "validation_size": 24},
        "space": {"layers": [1], "modules": ["mlp"], "clip_rates": [0.9]},
        "cluster": {"replicas": 0},
    }


def on_validation(study: StudyHandle) -> list[StoredRow]:
    """The rows of the untouched model and of the clip."""
    rows = [row for row in study.stored_rows() if row.split == "validation"]
    return sorted(rows, key=lambda row: len(row.clips))


def test_an_answer_is_right_where_the_model_alone_would_write_it(study: StudyHandle, reader: Reader) -> None:
    task = study._now().opened.load_task(reader.folder / "cache")
    for row, clips in zip(on_validation(study), [(), (CLIPPED,)], strict=True):
        model = edit_in_place(reader.model, clips)
        expected = []
        for example in task.splits["validation"]:
            start, whole = (ids_of(reader, text) for text in (example.query, example.query + example.answers[0]))
            expected.append(written(model, start, len(whole) - len(start)) == whole[len(start) :])
        assert row.outcomes.tolist() == expected
    assert 0 < (on_validation(study)[0].accuracy or 0) < 1


def test_its_other_score_is_the_mean_log_likelihood_of_the_answer(study: StudyHandle, reader: Reader) -> None:
    task = study._now().opened.load_task(reader.folder / "cache")
    sums = []
    for example in task.splits["validation"]:
        start, whole = (ids_of(reader, text) for text in (example.query, example.query + example.answers[0]))
        with torch.no_grad():
            logits = reader.model(torch.tensor([whole])).logits[0].log_softmax(dim=-1)
        sums.append(sum(float(logits[place - 1, whole[place]]) for place in range(len(start), len(whole))))
    row = on_validation(study)[0]
    assert row.gold_logprob == pytest.approx(sum(sums) / len(sums), abs=1e-4)
    assert (row.macro_f1, row.calibration_error) == (None, None)


@pytest.mark.parametrize("labels", [False, True])
def test_flips_tell_the_answer_and_not_what_was_said_in_its_place(study: StudyHandle, labels: bool) -> None:
    clip = on_validation(study)[1]
    flips = study.flips(clip.trial_id, labels=labels)
    assert flips.flips
    assert all((flip.after if flip.gained else flip.before) == flip.gold for flip in flips.flips)
    assert {flip.before if flip.gained else flip.after for flip in flips.flips} == {None}


def test_the_report_is_written_with_its_examples(study: StudyHandle) -> None:
    assert "a wrong one" in study.report().read_text()


def test_the_answer_says_nothing_of_chance(study: StudyHandle) -> None:
    assert "chance:" not in (study.describe() or "")


def test_a_look_at_the_task_shows_the_one_answer(study: StudyHandle, reader: Reader, cache: Path) -> None:
    view = view_task(study.study, cache, shots=1, demo_seed=0, row=0, tokens=True)
    assert (len(view["answers"]), len(view["answer_tokens"]), view["gold"]) == (1, 1, 0)
    assert "← right" in describe_task(view)


def test_a_checkpoint_is_checked_answer_by_answer(study: StudyHandle, tmp_path: Path) -> None:
    clip = on_validation(study)[1]
    assert study.apply(tmp_path / "out", trial=clip.trial_id, check=True)["check"]["differ"] == 0


def test_the_mean_log_likelihood_may_pick_the_winner(reader: Reader, study: StudyHandle, tmp_path: Path) -> None:
    asked = study.study.model_dump()
    asked["task"]["definition"]["metric"] = "gold_logprob"
    again = run(load_study(asked), dir=tmp_path / "again", quiet=True)
    assert again.metric == "gold_logprob"
    best = again.best()
    assert best is not None
    assert best["metric"] == "gold_logprob"
