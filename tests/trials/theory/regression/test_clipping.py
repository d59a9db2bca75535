from pathlib import Path

import pytest
import torch

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.theory.regression.clipping import Clippable, all_clips, make_clippable
from clipsweep.trials.theory.regression.model import predict
from clipsweep.trials.theory.regression.prompts import draw_prompts, normalised_errors
from clipsweep.trials.theory.regression.training import load_trained
from tests.trials.theory.regression.tiny import CPU, TINY

PROMPTS = draw_prompts("test", 0, 300, n_dims=2, n_examples=4)


@pytest.fixture
def clippable(trained: Path, tmp_path: Path) -> Clippable:
    return make_clippable(load_trained(TINY, 0, CPU, trained, 200), tmp_path)


def test_clipping_nothing_changes_no_bit(clippable: Clippable) -> None:
    plain = normalised_errors(predict(clippable.loaded.model, PROMPTS), PROMPTS)
    assert torch.equal(clippable.errors(PROMPTS), plain)
    assert torch.equal(clippable.errors(PROMPTS, Clip(layer=0, module="all", clip_rate=0)), plain)


def test_clipping_most_of_the_first_block_raises_the_error(clippable: Clippable) -> None:
    added = clippable.errors(PROMPTS, Clip(layer=0, module="all", clip_rate=0.99)) - clippable.errors(PROMPTS)
    assert added[:, 2:].mean() > 0.05


def test_a_clip_of_queries_leaves_keys_and_values_as_they_are(clippable: Clippable) -> None:
    [matrix] = clippable.loaded.layout.matrices[1, "q"]
    before = clippable.loaded.model.get_parameter(matrix.parameter).detach().clone()
    edited = clippable.loaded.edit(resolve([Clip(layer=1, module="q", clip_rate=0.75)], clippable.card))
    after = edited["backbone.h.1.attn.c_attn.weight"]  # stored (inputs, outputs): queries, keys, values
    assert torch.equal(after[:, 32:], before[:, 32:])
    u, s, vh = torch.linalg.svd(before[:, :32])
    torch.testing.assert_close(after[:, :32], (u[:, :8] * s[:8]) @ vh[:8])


def test_a_clip_leaves_the_weights_as_they_were(clippable: Clippable) -> None:
    before = {name: tensor.clone() for name, tensor in clippable.loaded.model.state_dict().items()}
    clippable.errors(PROMPTS, Clip(layer=1, module="mlp", clip_rate=0.9))
    assert all(torch.equal(before[name], tensor) for name, tensor in clippable.loaded.model.state_dict().items())


def test_a_block_that_is_not_there_is_refused(clippable: Clippable) -> None:
    with pytest.raises(SpecError, match="the model has 2 layers"):
        clippable.errors(PROMPTS, Clip(layer=2, module="mlp", clip_rate=0.9))


def test_every_block_module_and_rate_is_clipped_unless_a_lower_rate_leaves_the_same(clippable: Clippable) -> None:
    clips = all_clips(clippable.card)
    assert len({*clips}) == len(clips) == 2 * 8 * 6
    rates = [clip.clip_rate for clip in clips]
    assert rates[:7] == [0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.1]  # of 32 singular values 0.99 and 0.995 keep one
