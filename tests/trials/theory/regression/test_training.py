import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.theory.regression.model import build_model, predict
from clipsweep.trials.theory.regression.prompts import draw_prompts, normalised_errors
from clipsweep.trials.theory.regression.settings import SIZES, Size
from clipsweep.trials.theory.regression.training import (
    SECONDS,
    checkpoint_path,
    load_trained,
    read_checkpoint,
    train,
    train_one_step,
)
from tests.trials.theory.regression.tiny import CPU, TINY, quiet


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def error_after(folder: Path, step: int) -> list[float]:
    prompts = draw_prompts("test", 0, 500, n_dims=2, n_examples=4)
    model = load_trained(TINY, 0, CPU, folder, step)
    means: list[float] = normalised_errors(predict(model, prompts), prompts).mean(0).tolist()
    return means


def test_training_lowers_the_error_where_there_are_examples(trained: Path) -> None:
    early, late = error_after(trained, 10), error_after(trained, 200)
    assert sum(late[2:]) < 0.85 * sum(early[2:])
    assert late[0] > 0.8  # without an example nothing can be known


def assert_equal_checkpoints(one: Path, other: Path, size: Size, step: int) -> None:
    tensors, same = (read_checkpoint(folder, size, 0, step) for folder in (one, other))
    assert tensors.keys() == same.keys()
    assert all(torch.equal(tensors[name], same[name]) for name in tensors.keys() - {SECONDS})


SHORT = replace(TINY, checkpoint_steps=(10, 30), clipped_steps=())


def test_a_repeated_run_gives_the_same_bits(trained: Path, tmp_path: Path) -> None:
    train(SHORT, 0, CPU, tmp_path, quiet)
    assert_equal_checkpoints(trained, tmp_path, SHORT, 10)


def test_a_resumed_run_gives_the_same_bits_as_one_that_was_never_cut_off(trained: Path, tmp_path: Path) -> None:
    train(SHORT, 0, CPU, tmp_path / "whole", quiet)
    (tmp_path / "cut").mkdir()
    shutil.copy(checkpoint_path(trained, 10), tmp_path / "cut")
    lines: list[str] = []
    seconds = train(SHORT, 0, CPU, tmp_path / "cut", lines.append)
    assert seconds > read_checkpoint(trained, SHORT, 0, 10)[SECONDS].item() > 0  # those of both
    assert lines[0] == "goes on from the checkpoint after 10 steps"
    assert_equal_checkpoints(tmp_path / "whole", tmp_path / "cut", SHORT, 30)


def test_a_missing_checkpoint_is_made_again_though_a_later_one_is_there(tmp_path: Path) -> None:
    size = replace(TINY, checkpoint_steps=(5, 10, 30), clipped_steps=())
    train(size, 0, CPU, tmp_path / "whole", quiet)
    shutil.copytree(tmp_path / "whole", tmp_path / "gap")
    checkpoint_path(tmp_path / "gap", 10).unlink()
    lines: list[str] = []
    train(size, 0, CPU, tmp_path / "gap", lines.append)
    assert lines[0] == "goes on from the checkpoint after 5 steps"
    for step in size.checkpoint_steps:
        assert_equal_checkpoints(tmp_path / "whole", tmp_path / "gap", size, step)


def test_a_folder_without_the_first_checkpoint_is_trained_from_the_start(trained: Path, tmp_path: Path) -> None:
    train(SHORT, 0, CPU, tmp_path, quiet)
    checkpoint_path(tmp_path, 10).unlink()
    train(SHORT, 0, CPU, tmp_path, quiet)
    assert_equal_checkpoints(trained, tmp_path, SHORT, 10)


def test_another_seed_gives_another_model(tmp_path: Path) -> None:
    one, other = (build_model(TINY, seed, CPU).read_in.weight for seed in (0, 1))
    assert not torch.equal(one, other)


def test_building_a_model_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    build_model(TINY, 0, CPU)
    assert torch.equal(before, torch.get_rng_state())


def test_a_folder_of_another_seed_is_refused(trained: Path) -> None:
    with pytest.raises(ModelError, match="made with other settings or another seed; expected seed 1"):
        train(TINY, 1, CPU, trained, quiet)


def test_a_folder_of_other_settings_is_refused(trained: Path) -> None:
    with pytest.raises(ModelError, match="Choose another folder"):
        train(replace(TINY, learning_rate=1e-3), 0, CPU, trained, quiet)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint_path(tmp_path, 10).write_bytes(b"torn")
    with pytest.raises(ModelError, match=r"step-000010.safetensors is no whole checkpoint .* Delete it"):
        train(TINY, 0, CPU, tmp_path, quiet)


def test_a_step_of_the_full_size_runs() -> None:
    full = replace(SIZES["full"], batch=1)
    model = build_model(full, 0, CPU)
    before = model.read_in.weight.detach().clone()
    adam = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=full.learning_rate)
    first = train_one_step(model, adam, full, 0, 0)
    late = train_one_step(model, adam, full, 0, 400_000)  # all dimensions, all examples
    assert 0 < first.item() < 100
    assert 0 < late.item() < 100
    assert not torch.equal(before, model.read_in.weight)
    assert model(draw_prompts("test", 0, 2, n_dims=20, n_examples=40).tokens()).shape == (2, 41)
