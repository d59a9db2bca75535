import pytest

from clipsweep.orchestrator.terminal.clip_option import ClipText, parse_clips
from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.export.model_card import words_of
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KINDS
from tests.trials.models.test_card import CARD

MLP = "layer=-1,module=mlp,clip_rate=0.9"


def test_clips_are_read_in_any_order_of_keys_with_spaces_or_without() -> None:
    expected = ClipText(layer=-1, module="mlp", clip_rate=0.9)
    assert parse_clips([MLP, "clip_rate=.9, kind=svd, module=mlp, layer=-1"]) == [expected, expected]


def test_a_negative_layer_counts_from_the_end_of_the_model() -> None:
    assert parse_clips([MLP])[0].clip(CARD) == Clip(layer=CARD.n_layers - 1, module="mlp", clip_rate=0.9)


@pytest.mark.parametrize("own", ["kind=zero", "kind=window,drop=[0, 3]"])
def test_a_kind_whose_rate_has_no_meaning_needs_none(own: str) -> None:
    [clip] = parse_clips([f"layer=1,module=mlp,{own}"])
    assert clip.clip_rate == 0
    assert parse_clips([words_of(clip.clip(CARD))]) == [clip]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"zero", "window"}])
def test_every_other_kind_needs_a_rate(kind: str) -> None:
    with pytest.raises(SpecError, match="has no clip_rate; expected key=value"):
        parse_clips([f"layer=1,module=mlp,kind={kind}"])


@pytest.mark.parametrize("layer", [CARD.n_layers, -CARD.n_layers - 1])
def test_a_layer_that_the_model_lacks_is_refused(layer: int) -> None:
    with pytest.raises(SpecError, match=f"layer {layer} does not exist"):
        parse_clips([f"layer={layer},module=mlp,clip_rate=0.9"])[0].clip(CARD)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected key=value with commas"),
        ("layer=2,mlp", "layer is '2,mlp'|has no module"),
        ("layer=2,module=mlp", "has no clip_rate; expected key=value"),
        ("lyer=2,module=mlp,clip_rate=0.9", "no key 'lyer' .* Did you mean 'layer'"),
        ("layer=2,module=mlp,rate=0.9", "no key 'rate' .* Did you mean 'clip_rate'"),
        (f"{MLP},knd=svd", "no key 'knd' .* Did you mean 'kind'"),
        (f"{MLP},layer=3", "gives layer twice"),
        (f"{MLP},kind=", "where a key and its value belong"),
        ("layer=two,module=mlp,clip_rate=0.9", "layer is 'two' .* expected a whole number"),
        ("layer=2,module=mlp,clip_rate=90%", "clip_rate is '90%' .* expected a fraction"),
        ("layer=2,module=mlp,clip_rate=9.5", "must be divided by 10"),
        ("layer=2,module=mpl,clip_rate=0.9", "Did you mean 'mlp'"),
        (f"{MLP},kind=sdv", "Did you mean 'svd'"),
        ("layer=2,module=mlp,kind=zeros", "Did you mean 'zero'"),
        (f"{MLP},kind=svd,seed=1", "kind of clip 'svd' takes no"),
        (f'{MLP},kind=svd,ranks=[3, 8],of="a, b"', "kind of clip 'svd' takes no"),
    ],
)
def test_what_is_no_clip_is_refused(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        parse_clips([text])
