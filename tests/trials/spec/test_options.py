import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KINDS, KindOfClip, read_options

GIVEN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda each: st.lists(each, max_size=2),
)


def clip_of(kind: str, options: str | None = None, clip_rate: float = 0.5) -> Clip:
    return Clip(layer=0, module="mlp", clip_rate=clip_rate, kind=kind, options=options)


def test_options_that_are_not_given_are_filled_in_so_that_equal_clips_are_equal() -> None:
    assert clip_of("random").options == '{"seed": 0}'
    assert clip_of("random") == clip_of("random", '{ "seed": 0 }') == clip_of("random", "{}")
    assert clip_of("whitened", '{"split":"validation","epsilon":1}').options == (
        '{"epsilon": 1.0, "rows": 64, "split": "validation"}'
    )
    assert clip_of("svd").options is None


def test_rows_that_are_not_given_are_those_of_a_split_that_has_rows() -> None:
    assert clip_of("whitened").options == '{"epsilon": 0.01, "rows": null, "split": "demonstrations"}'
    assert clip_of("whitened", '{"split": "validation"}').option("rows") == 64


def test_a_kind_is_named_with_its_options() -> None:
    assert clip_of("whitened").of_kind.words == "whitened, epsilon 0.01, split demonstrations"
    assert clip_of("svd").of_kind.words == "svd"
    assert clip_of("window", '{"drop": [0, 8]}').of_kind.words == "window, drop [0, 8]"


def test_the_value_of_an_option_is_asked_for_by_name() -> None:
    assert clip_of("window", '{"drop": [0, 8]}').option("drop") == [0, 8]


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("svd", '{"seed": 1}', "kind of clip 'svd' takes no options, and 'seed' is given"),
        ("random", '{"sed": 1}', "no option of kind of clip 'random' 'sed'; known: seed. Did you mean 'seed'"),
        ("random", '{"seed": true}', "option 'seed' of kind of clip 'random' is True; expected a whole number of 0"),
        ("random", '{"seed": 1', "are '{\"seed\": 1'; expected a JSON mapping as text, or None"),
        ("random", "[1]", "expected a JSON mapping as text, or None"),
        ("window", None, "kind of clip 'window' lacks its option 'drop'; expected two ranks"),
        ("window", '{"drop": [3]}', r"is \[3\]; expected two ranks \[a, b\]"),
        ("cumulative", '{"rates": [0.5, 0.5]}', "expected a list of fractions in .* ascending, each once"),
        ("cumulative", '{"rates": [0.5, 1]}', "expected a list of fractions"),
        ("whitened", '{"split": "validaton"}', "expected 'demonstrations' or 'validation'. Did you mean 'validation'"),
        ("whitened", '{"epsilon": NaN}', "is nan; expected a number above 0"),
        ("whitened", '{"rows": 0}', "is 0; expected a whole number of 1 or more"),
        ("whitened", '{"rows": 8}', "'rows' .* is 8, which has no effect with split: demonstrations.* remove it"),
    ],
)
def test_options_that_cannot_be_are_refused_in_words(kind: str, options: str | None, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        clip_of(kind, options)


@pytest.mark.parametrize("options", [{"seed": 1}, ["seed"], 1])
def test_options_that_are_no_text_are_refused_in_words(options: Any) -> None:
    with pytest.raises(
        SpecError, match=r"options of kind of clip 'random' are .*; expected a JSON mapping as text, or"
    ):
        clip_of("random", options)


@pytest.mark.parametrize(("kind", "options"), [("whitened", '{"epsilon": %s}'), ("cumulative", '{"rates": [%s]}')])
def test_a_number_too_large_for_a_float_is_refused_in_words(kind: str, options: str) -> None:
    with pytest.raises(SpecError, match="is .*999.*; expected a"):
        clip_of(kind, options % ("9" * 400))


def test_a_rate_of_0_is_idle_but_for_kinds_that_act_all_the_same() -> None:
    acting = {kind for kind in KINDS if kind != "window" and not clip_of(kind, clip_rate=0.0).is_idle}
    assert acting == {"zero", "randomised", "cumulative"}
    assert not clip_of("random").is_idle


@given(kind=st.sampled_from(sorted(KINDS)), name=st.sampled_from(("seed", "drop", "rates", "epsilon")), value=GIVEN)
def test_whatever_is_given_is_refused_or_has_one_spelling(kind: str, name: str, value: object) -> None:
    try:
        made = clip_of(kind, json.dumps({name: value}))
    except SpecError:
        return
    assert made == clip_of(kind, made.options)
    assert read_options(made.options)[name] == value or isinstance(value, int | list)
    assert KindOfClip(kind, made.options).words.startswith(kind)
