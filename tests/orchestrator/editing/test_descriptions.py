from clipsweep.orchestrator.editing.descriptions import DESCRIPTIONS
from clipsweep.orchestrator.study.explain import all_keys


def test_every_key_of_a_study_is_described_and_no_other() -> None:
    assert {*all_keys()} | {"tasks"} == DESCRIPTIONS.keys()
