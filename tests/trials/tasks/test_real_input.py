"""Real rows and a GPT-J that was trained on real prompts; runs where the shared folder is."""

from pathlib import Path

import numpy as np
import pytest

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.load import load_model
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.scores.judge import score_labels
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings
from clipsweep.trials.tokens.encode import encode_prompts
from clipsweep.trials.tokens.tokenizer import load_tokenizer
from tests.conftest import REAL_MODEL, REAL_SST2, needs_shared
from tests.trials.reference import centred, edit_in_place, score_one_by_one

pytestmark = [needs_shared, pytest.mark.slow]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def prompts(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Prompts:
    """Six demonstrations and 400 queries, all from the validation rows, which the model was not trained on."""
    unseen = tmp_path_factory.mktemp("unseen")
    (unseen / "train.jsonl").symlink_to((REAL_SST2 / "validation.jsonl").resolve())
    settings = TaskSettings(name="sst2", path=str(unseen), validation_size=400, test_size=10)
    wanted = PromptSet(shots=6, demo_seed=0, split="validation")
    return encode_prompts(load_task(settings, cache), load_tokenizer(REAL_MODEL), wanted, 1024)


@pytest.fixture(scope="module")
def engine(cache: Path) -> Engine:
    card = describe_checkpoint(REAL_MODEL, "float32", cache)
    return Engine(load_model(REAL_MODEL, "float32", "cpu"), card, FactorCache(cache))


def accuracy(engine: Engine, prompts: Prompts, *clips: Clip) -> float:
    scored = engine.score(prompts, resolve(clips, engine.card), microbatch=32)
    outcomes, _ = score_labels(scored.log_likelihoods.numpy(), [query.gold for query in prompts.queries])
    return float(np.mean(outcomes))


def mlp(layer: int) -> Clip:
    return Clip(layer=layer, module="mlp", clip_rate=0.99)


def test_the_model_learns_sst2_from_six_demonstrations(engine: Engine, prompts: Prompts) -> None:
    # 0.74 to 0.80 by the model's card
    assert 0.74 <= accuracy(engine, prompts) <= 0.80


def test_clipping_the_first_mlp_ruins_it(engine: Engine, prompts: Prompts) -> None:
    # 0.53 in the model's card
    assert accuracy(engine, prompts, mlp(0)) <= 0.6


@pytest.mark.parametrize("layer", [3, 4, 5])
def test_clipping_a_deep_mlp_changes_less_than_a_point(engine: Engine, prompts: Prompts, layer: int) -> None:
    change = accuracy(engine, prompts, mlp(layer)) - accuracy(engine, prompts)
    assert abs(change) < 0.01


def test_predictions_equal_editing_in_place_and_running_each_prompt_alone(engine: Engine, prompts: Prompts) -> None:
    few = Prompts(prefix=prompts.prefix, queries=prompts.queries[:60])
    clips = (mlp(2),)
    expected = score_one_by_one(edit_in_place(load_model(REAL_MODEL, "float32", "cpu"), clips), few)
    scores = engine.score(few, resolve(clips, engine.card), microbatch=16).log_likelihoods
    assert scores.argmax(dim=1).tolist() == expected.argmax(dim=1).tolist()
    assert (centred(scores) - centred(expected)).abs().max() < 1e-4
