"""A kind of clip is one entry of the table: everything else takes it as it takes ``svd``."""

import copy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.cluster.replica import Replica
from clipsweep.cluster.work import Batch
from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.identity import trial_id
from clipsweep.trials.clips.kind import Kind, load_kind
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.clips.target import Target
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.models.matrices import Matrix
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KINDS, KindEntry
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.shape import Shape
from tests.cluster.pool_contract import EPISODES, make_trial, replica_settings
from tests.trials.architectures import build_model, card_of
from tests.trials.engine.test_exactness import LENGTHS, ONE_TOKEN, assert_equal, draw_prompts
from tests.trials.kinds_in_place import kind_clip, make_target
from tests.trials.models.test_card import CARD
from tests.trials.reference import edit_in_place, run_one_by_one
from tests.trials.spec.test_clip import make_clip
from tests.trials.spec.test_trial import make_spec


class Blank(Kind):
    """Every matrix becomes zero, whatever the rate; it needs no factors."""

    def leaves_alone(self, clip: Clip, shape: Shape) -> bool:
        return clip.clip_rate == 0

    def parameters_kept(self, clip: Clip, shape: Shape) -> int:
        return 0

    def fingerprint(self, clip: Clip, shape: Shape) -> str:
        return "nothing left"

    def apply(self, clip: Clip, target: Target) -> Tensor:
        return torch.zeros_like(target.weight)


@pytest.fixture(autouse=True)
def blank(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second kind, by its entry in the table alone."""
    monkeypatch.setitem(KINDS, "blank", KindEntry(f"{__name__}:Blank"))


def zeroed(layer: int = 1, module: str = "mlp") -> Clip:
    return make_clip(layer=layer, module=module, kind="blank")


def zeroed_in_place(model: PreTrainedModel, layer: int, role: str) -> PreTrainedModel:
    """A copy of the model without the matrices of a role in a layer."""
    edited = copy.deepcopy(model)
    for matrix in find_layout(edited).matrices[layer, role]:
        stored = edited.get_parameter(matrix.parameter)
        matrix.write(stored, torch.zeros(matrix.rows, matrix.cols))
    return edited


def test_listing_kinds_imports_nothing() -> None:
    code = "import sys; from clipsweep.trials.spec.kinds import KINDS; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {entry.location.partition(":")[0] for entry in KINDS.values()} & {*loaded}


def test_a_kind_that_is_not_in_the_table_is_answered_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="no kind of clip 'zeros'; known: blank, .*svd, .* Did you mean 'zero'?"):
        load_kind("zeros")


def test_another_kind_is_another_trial() -> None:
    ids = {trial_id(make_spec(clips=(clip,)), CARD, "t") for clip in (zeroed(), make_clip(layer=1))}
    assert len(ids) == 2


def test_clips_with_the_same_fingerprint_are_one_trial() -> None:
    specs = [make_spec(clips=(replace(zeroed(), clip_rate=rate),)) for rate in (0.5, 0.9)]
    assert len({trial_id(spec, CARD, "t") for spec in specs}) == 1


def test_clips_of_two_kinds_in_any_order_are_one_trial() -> None:
    clips = (zeroed(module="q"), make_clip(layer=1, module="mlp"))
    assert resolve(clips, CARD).fingerprint == resolve(clips[::-1], CARD).fingerprint


def test_a_kind_says_how_many_parameters_are_kept() -> None:
    assert resolve([zeroed(module="q")], CARD).parameters_kept == 10_000 - 20 * 40


def test_a_kind_says_what_is_left_alone() -> None:
    assert resolve([replace(zeroed(), clip_rate=0.0)], CARD) == resolve((), CARD)


@pytest.mark.parametrize("name", ["gptj", "llama", "gpt_neox", "mixtral"])
def test_the_engine_gives_what_editing_in_place_gives(name: str, tmp_path: Path) -> None:
    model = build_model(name)
    role = "up" if name in ("llama", "mixtral") else "fc_in"
    engine = Engine(model, card_of(model), FactorCache(tmp_path), Budget(device_bytes=10**9, host_bytes=0))
    prompts = draw_prompts(0, 12, LENGTHS, ONE_TOKEN)
    expected = run_one_by_one(zeroed_in_place(model, 1, role), prompts)
    scored = engine.score(prompts, resolve([zeroed(module=role)], engine.card), 2)
    assert assert_equal(scored, expected) == 0


def test_a_trial_may_have_clips_of_two_kinds(tmp_path: Path) -> None:
    model = build_model("gptj")
    engine = Engine(model, card_of(model), FactorCache(tmp_path), Budget(device_bytes=10**9, host_bytes=0))
    prompts, svd = draw_prompts(0, 12, LENGTHS, ONE_TOKEN), make_clip(layer=0, module="attn")
    expected = run_one_by_one(zeroed_in_place(edit_in_place(model, [svd]), 1, "q"), prompts)
    assert assert_equal(engine.score(prompts, resolve([svd, zeroed(module="q")], engine.card), 2), expected) == 0


def test_a_replica_evaluates_it(tiny_gptj: Path, cache: Path) -> None:
    settings, card = replica_settings(tiny_gptj, cache)
    trial = make_trial(card, 0.5)
    spec = replace(trial.spec, clips=(zeroed(),))
    trial = replace(trial, trial_id=trial_id(spec, card, "t"), spec=spec, resolved=resolve(spec.clips, card))
    (result,) = Replica(settings, "r").evaluate(Batch(trials=(trial,), microbatch=4))
    assert result.state is TrialState.COMPLETE
    assert result.trial.resolved.parameters_kept < card.parameters_total


def test_it_makes_no_factors_that_it_does_not_use(tiny_gptj: Path, cache: Path) -> None:
    settings, card = replica_settings(tiny_gptj, cache)
    trial = make_trial(card, 0.5)
    trial = replace(trial, resolved=resolve([zeroed()], card))
    Replica(settings, "r").evaluate(Batch(trials=(trial,), microbatch=4))
    assert not list((cache / "factors").rglob("*.safetensors"))


@pytest.mark.parametrize("options", [None, '{"rows": 3, "split": "validation"}'])
def test_a_replica_gives_a_kind_the_texts_of_the_trial_whichever_rows_are_evaluated(
    options: str | None, tiny_gptj: Path, cache: Path
) -> None:
    settings, card = replica_settings(tiny_gptj, cache, task=replace(EPISODES, test_size=6))
    clip = Clip(layer=1, module="mlp", clip_rate=0.5, kind="whitened", options=options)
    trial = replace(make_trial(card, 0.5), resolved=resolve([clip], card))
    trials = (trial, replace(trial, rows=(0, 4)), replace(trial, spec=replace(trial.spec, split="test")))
    replica, made = Replica(settings, "r"), []
    write = Matrix.write

    def seen(matrix: Matrix, stored: Tensor, values: Tensor) -> None:
        made.append(values)
        write(matrix, stored, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Matrix, "write", seen)
        results = replica.evaluate(Batch(trials=trials, microbatch=4))
    assert [result.state for result in results] == [TrialState.COMPLETE] * 3
    assert len(made) == 2 * 3
    assert all(torch.equal(made[number], made[number + 2]) for number in range(4))


def test_a_trial_whose_kind_lacks_its_texts_fails_in_words(tiny_gptj: Path, cache: Path) -> None:
    settings, card = replica_settings(tiny_gptj, cache)
    trial = make_trial(card, 0.5, shots=0)
    clip = Clip(layer=1, module="mlp", clip_rate=0.5, kind="whitened")
    (result,) = Replica(settings, "r").evaluate(
        Batch(trials=(replace(trial, resolved=resolve([clip], card)),), microbatch=4)
    )
    assert result.state is TrialState.FAILED
    assert "with 0 shots there are none; expected 1 shot or more" in (result.error or "")


THIN = {"svd", "tail", "window", "whitened"}


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("clip_rate", [0.25, 0.75])
def test_thin_factors_are_the_clipped_matrix_or_the_kind_has_none(kind: str, clip_rate: float, tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    x, weight = torch.randn(30, 12, generator=draw).double(), torch.randn(20, 12, generator=draw)
    clip, target = kind_clip(kind, clip_rate=clip_rate), make_target(weight, FactorCache(tmp_path), x.T @ x)
    rank = load_kind(kind).thin_rank(clip, Shape(20, 12, 1))
    assert (rank is not None) == (kind in THIN)
    if rank is not None:
        up, down = load_kind(kind).factors(clip, target).thin(rank)
        assert (up.shape, down.shape) == ((20, rank), (rank, 12))
        torch.testing.assert_close(up @ down, load_kind(kind).apply(clip, target), rtol=1e-5, atol=1e-5)


def test_a_window_of_all_ranks_has_no_thin_form() -> None:
    clip = Clip(layer=0, module="mlp", clip_rate=0, kind="window", options='{"drop": [0, 99]}')
    assert load_kind("window").thin_rank(clip, Shape(20, 12, 1)) is None


def test_kinds_load_without_torch() -> None:
    code = (
        "import sys; from clipsweep.trials.clips.kind import load_kind; from clipsweep.trials.spec.kinds import KINDS\n"
        "for name in KINDS: load_kind(name)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
