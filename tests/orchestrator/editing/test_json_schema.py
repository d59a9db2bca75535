from typing import Any

import pytest
import yaml

from clipsweep.orchestrator.editing.draft import draft
from clipsweep.orchestrator.editing.json_schema import study_schema
from clipsweep.orchestrator.source.find_file import SHIPPED
from clipsweep.orchestrator.study.explain import all_keys
from clipsweep.trials.spec.kinds import KINDS

jsonschema = pytest.importorskip("jsonschema")
VALID = {"name": "a", "model": {"path": "embedded"}, "task": {"name": "sst2"}}


def problems(content: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(study_schema())
    return [error.message for error in validator.iter_errors(content)]


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_study_is_valid(path: Any) -> None:
    assert problems(yaml.safe_load(path.read_text())) == []


def test_a_draft_is_valid() -> None:
    assert problems(yaml.safe_load(draft(SHIPPED, "embedded", "episodes"))) == []


@pytest.mark.parametrize(
    "space",
    [
        {"shots": 4},
        {"shots": [4]},
        {"modules": "mlp"},
        {"clip_rates": 0.9},
        {"clip_rates": {"high": 0.9}},
        {"layers": -1},
        {"layers": "all"},
    ],
)
def test_one_value_may_stand_for_a_list_of_one(space: dict[str, Any]) -> None:
    assert problems(VALID | {"space": space}) == []


@pytest.mark.parametrize(
    "space", [{"shot": 4}, {"modules": "mpl"}, {"clip_rates": 9.5}, {"shots": []}, {"layers": "some"}, [1], None]
)
def test_what_a_study_may_not_hold_is_invalid(space: Any) -> None:
    assert problems(VALID | {"space": space}) != []


def test_a_task_of_ones_own_may_lie_in_a_file_or_in_the_study() -> None:
    definition = {"data": {"path": "r"}, "query": "{a}", "labels": {0: "a", 1: "b"}}
    assert problems(VALID | {"task": {"name": "mine", "definition": "mine.yaml"}}) == []
    assert problems(VALID | {"task": {"name": "mine", "definition": {**definition, "labels": ["a", "b"]}}}) == []


def test_every_key_has_its_sentence() -> None:
    schema = study_schema()
    sections = [schema, *(held for held in schema["$defs"].values() if "properties" in held)]
    described = [key for section in sections for key, held in section["properties"].items() if held["description"]]
    of_kinds = sum(1 + len(entry.options) for entry in KINDS.values())
    assert len(described) == len(list(all_keys())) + 1 + of_kinds


@pytest.mark.parametrize(
    ("kinds", "count"),
    [
        (["svd", {"random": {"seed": 1}}], 0),
        ({"window": {"drop": [0, 8]}}, 0),
        ("magnitude", 0),
        ("svdd", 1),
        ([{"random": {"sed": 1}}], 1),
    ],
)
def test_kinds_of_clip_stand_there_by_name_or_with_options(kinds: Any, count: int) -> None:
    assert len(problems(VALID | {"space": {"kinds": kinds}})) == count
