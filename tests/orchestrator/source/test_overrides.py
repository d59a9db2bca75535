import pytest

from clipsweep.orchestrator.source.overrides import apply_override, parse_once, parse_override
from clipsweep.trials.base.errors import StudyError


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("space.shots", "has no '='; expected key=value, as in --set 'space.shots=\\[0, 4\\]'"),
        ("=4", "has no whole key before its '='"),
        ("space.=4", "has no whole key before its '='"),
        ("space..shots=4", "has no whole key before its '='"),
        ("space.shots=[4", "^the value in --set 'space.shots=\\[4' is not YAML: "),
    ],
)
def test_what_is_no_key_and_value_is_refused(text: str, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        parse_override(text)


def test_a_key_that_is_given_twice_is_refused_with_both_values() -> None:
    with pytest.raises(StudyError, match=r"'cluster.replicas' is given twice on the command line, as 2 and as 3;"):
        parse_once(["cluster.replicas=2"], [("cluster.replicas", 3)])


def test_a_key_that_leads_through_a_value_is_refused_with_the_value() -> None:
    with pytest.raises(StudyError, match=r"'shots' is not a section of the study; 'space.shots' is \[4\]"):
        apply_override({"space": {"shots": [4]}}, "space.shots.first", 1)


def test_a_value_goes_below_sections_that_are_made_for_it() -> None:
    content = {"name": "a"}
    apply_override(content, "space.layers.top_condition", 3)
    assert content == {"name": "a", "space": {"layers": {"top_condition": 3}}}
