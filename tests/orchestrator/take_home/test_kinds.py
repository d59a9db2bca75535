"""Every kind of clip taken home: what is written answers as the stored trial did, through plain transformers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from clipsweep.orchestrator.api import StudyHandle, open_study
from clipsweep.trials.checkpoint.weight_files import weight_files
from clipsweep.trials.clips import edit
from clipsweep.trials.export.factored import load_factored
from clipsweep.trials.spec.kinds import KINDS
from tests.orchestrator.take_home.studies import row_of_kind, run_small, save_with_tokenizer
from tests.orchestrator.take_home.test_round_trip import answers_of, check_answers

OPTIONS = {"window": {"drop": [2, 9]}, "random": {"seed": 3}}
MODULE = {"layers": [1], "modules": ["mlp"]}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a study of every kind, and one of whitened over validation with two demonstration seeds."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIPSWEEP_CACHE", str(home / "cache"))
        model = save_with_tokenizer("gptj", home / "model")
        kinds = [{kind: OPTIONS[kind]} if kind in OPTIONS else kind for kind in KINDS]
        run_small(model, home / "every", space=MODULE | {"clip_rates": [0.75], "kinds": kinds}, task={"test_size": 0})
        space = MODULE | {"clip_rates": [0.75], "demo_seeds": [5, 6]}
        whitened = space | {"kinds": [{"whitened": {"split": "validation", "rows": 3}}]}
        run_small(model, home / "seeds", space=whitened)
    return home


@pytest.fixture
def study(home: Path, monkeypatch: pytest.MonkeyPatch) -> StudyHandle:
    monkeypatch.setenv("CLIPSWEEP_CACHE", str(home / "cache"))
    return open_study(home / "every")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_checkpoint_answers_each_example_as_the_stored_trial(kind: str, study: StudyHandle, tmp_path: Path) -> None:
    row = row_of_kind(study, kind)
    document = study.apply(tmp_path / "out", trial=row.trial_id)
    assert document["texts_of"] == (row.trial_id if kind == "whitened" else None)
    check_answers(tmp_path / "out", study, row)


@pytest.mark.slow
def test_whitened_as_thin_factors_answers_as_the_stored_trial(study: StudyHandle, tmp_path: Path) -> None:
    row = row_of_kind(study, "whitened")
    document = study.apply(tmp_path / "thin", trial=row.trial_id, format="factored", check=True)
    assert (document["check"]["differ"], document["kept_whole"]) == (0, [])
    outcomes, margins = answers_of(load_factored(tmp_path / "thin"), tmp_path / "thin", study, row)
    assert outcomes == row.outcomes.tolist()
    assert row.margins is not None
    np.testing.assert_allclose(np.asarray(margins, dtype=np.float16), row.margins, rtol=2e-2, atol=1e-3)


def test_in_half_precision_the_weights_are_those_of_the_trial(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_weights, made = edit.edit_weights, dict[str, Tensor]()

    def seen(*args: Any, **named: Any) -> dict[str, Tensor]:
        made.update(edited := edit_weights(*args, **named))
        return edited

    monkeypatch.setattr(edit, "edit_weights", seen)  # of trials alone: apply has its own name for it
    model = save_with_tokenizer("gptj", tmp_path / "model")  # its activation is the one that the engine fuses
    space = MODULE | {"clip_rates": [0.75], "kinds": ["whitened"]}
    study = run_small(model, tmp_path / "study", model={"dtype": "bfloat16"}, space=space, task={"test_size": 0})
    document = study.apply(tmp_path / "out", trial=row_of_kind(study, "whitened").trial_id)
    written = {name: tensor for path in weight_files(tmp_path / "out") for name, tensor in load_file(path).items()}
    assert made.keys() == {*document["changed"]}
    assert {tensor.dtype for tensor in made.values()} == {torch.bfloat16}
    assert [name for name, tensor in made.items() if not torch.equal(written[name], tensor)] == []


@pytest.fixture
def seeds(home: Path, monkeypatch: pytest.MonkeyPatch) -> StudyHandle:
    monkeypatch.setenv("CLIPSWEEP_CACHE", str(home / "cache"))
    return open_study(home / "seeds")


@pytest.mark.slow
def test_of_several_demonstration_seeds_the_first_ones_texts_are_read(seeds: StudyHandle, tmp_path: Path) -> None:
    document = seeds.apply(tmp_path / "out", check=True)
    first = row_of_kind(seeds, "whitened", demo_seed=5)
    assert document["texts_of"] == first.trial_id
    assert {each["demo_seed"] for each in document["check"]["trials"]} == {5}
    assert {each["split"] for each in document["check"]["trials"]} == {"validation", "test"}
    assert document["check"]["differ"] == 0


@pytest.mark.slow
def test_the_card_says_whose_texts_and_how_to_make_it_again(seeds: StudyHandle, tmp_path: Path) -> None:
    trial = seeds.apply(tmp_path / "out")["texts_of"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"here over the texts of trial `{trial}`, whose demonstrations seed 5 drew. The 2 trials of other" in card
    assert f"clipsweep apply DIR --trial {trial} --format dense -o OUT" in card


@pytest.mark.slow
def test_a_named_trial_reads_the_texts_of_its_own_seed(seeds: StudyHandle, tmp_path: Path) -> None:
    written = []
    for seed in (5, 6):
        row = row_of_kind(seeds, "whitened", demo_seed=seed)
        document = seeds.apply(tmp_path / str(seed), trial=row.trial_id, check=True)
        assert (document["texts_of"], document["check"]["differ"]) == (row.trial_id, 0)
        written.append(AutoModelForCausalLM.from_pretrained(tmp_path / str(seed)).state_dict())
    one, other = written
    assert {name for name in one if not torch.equal(one[name], other[name])} == set(document["changed"])
