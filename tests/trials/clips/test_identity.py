from dataclasses import replace

import pytest

from clipsweep.trials.clips.identity import trial_id
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.trial import TrialSpec
from tests.trials.models.test_card import CARD, MIXTURE
from tests.trials.spec.test_clip import make_clip
from tests.trials.spec.test_trial import make_spec


def test_points_that_leave_the_same_ranks_are_one_trial() -> None:
    same = [make_spec(clips=(make_clip(clip_rate=rate),)) for rate in (0.9, 0.91)]
    assert len({trial_id(spec, CARD, "t") for spec in same}) == 1


def test_clips_at_full_rank_are_the_baseline() -> None:
    full = make_spec(clips=(make_clip(layer=3, module="attn", clip_rate=0.01),))
    assert trial_id(full, CARD, "t") == trial_id(make_spec(), CARD, "t")


def test_the_order_of_clips_does_not_count() -> None:
    clips = (make_clip(layer=0), make_clip(layer=1, module="q"))
    assert trial_id(make_spec(clips=clips), CARD, "t") == trial_id(make_spec(clips=clips[::-1]), CARD, "t")


def test_the_demonstration_seed_counts_only_with_demonstrations() -> None:
    specs = [replace(make_spec(shots=shots), demo_seed=seed) for shots in (0, 4) for seed in (0, 1)]
    assert len({trial_id(spec, CARD, "t") for spec in specs}) == 3


def test_each_thing_that_determines_the_result_changes_the_identity() -> None:
    clip = make_clip()
    base = make_spec(shots=4, clips=(clip,))
    others = [
        trial_id(base, CARD, "other rows"),
        trial_id(base, replace(CARD, fingerprint="0"), "t"),
        trial_id(base, replace(CARD, dtype="float16"), "t"),
        trial_id(replace(base, shots=10), CARD, "t"),
        trial_id(replace(base, split="test"), CARD, "t"),
        trial_id(replace(base, clips=(replace(clip, layer=1),)), CARD, "t"),
        trial_id(replace(base, clips=(replace(clip, module="attn"),)), CARD, "t"),
        trial_id(replace(base, clips=(replace(clip, clip_rate=0.75),)), CARD, "t"),
    ]
    assert len({trial_id(base, CARD, "t"), *others}) == len(others) + 1


def test_identities_are_those_of_earlier_versions() -> None:
    clips = (make_clip(layer=2, module="all"), make_clip(layer=0, module="q"))
    assert trial_id(make_spec(), CARD, "t") == "5bfa2e0081fa523ac99d2e4b19d4f2ab"  # both as 0.1.0 gave them
    assert trial_id(make_spec(shots=4, clips=clips), CARD, "t") == "e9609fca688a6a16ee6c647ff0ec6783"


def test_the_names_of_model_and_task_do_not_count() -> None:
    assert trial_id(replace(make_spec(), model="elsewhere", task="alias"), CARD, "t") == trial_id(
        make_spec(), CARD, "t"
    )


STORED: list[tuple[str, TrialSpec, ModelCard]] = [  # as they were before clips had kinds of their own
    ("9692e8ca536bc9e65766f8552ae1bea4", make_spec(), CARD),
    ("1ea321aa28d40d537bef9a5325cb166b", make_spec(shots=4), CARD),
    (
        "abc76d992cfb1cb2e4f3954e6d5783c1",
        make_spec(clips=(make_clip(layer=3, module="mlp", clip_rate=0.9),)),
        CARD,
    ),
    (
        "d067ffa01678a7b7a3cbe15622f2d072",
        make_spec(shots=10, clips=(make_clip(layer=1, module="attn", clip_rate=0.5),)),
        CARD,
    ),
    (
        "9692e8ca536bc9e65766f8552ae1bea4",
        make_spec(clips=(make_clip(layer=3, module="attn", clip_rate=0.01),)),
        CARD,
    ),
    (
        "30efe9d66c9d6600f70fd1e6c3a18514",
        make_spec(
            shots=4,
            clips=(
                make_clip(layer=2, module="all", clip_rate=0.9),
                make_clip(layer=0, module="q", clip_rate=0.995),
            ),
        ),
        CARD,
    ),
    (
        "6ba52165387c43c5f7a248792b76305e",
        replace(
            make_spec(shots=2, split="test", clips=(make_clip(layer=0, module="fc_in", clip_rate=0.75),)), demo_seed=3
        ),
        CARD,
    ),
    (
        "3a335e748da8e1d1e5540a57fd598c2d",
        make_spec(clips=(make_clip(layer=1, module="up", clip_rate=0.75),)),
        MIXTURE,
    ),
    (
        "0ad92c52f75f22d673a7ab621d82fcfe",
        make_spec(clips=(make_clip(layer=1, module="all", clip_rate=0.5),)),
        MIXTURE,
    ),
]


@pytest.mark.parametrize(("stored", "spec", "card"), STORED)
def test_identities_of_stored_rows_stay_as_they_are(stored: str, spec: TrialSpec, card: ModelCard) -> None:
    assert trial_id(spec, card, "task") == stored
