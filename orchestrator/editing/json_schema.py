"""The JSON schema of a study file, with a sentence for each key, for editors that complete and check YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipsweep.orchestrator.editing.descriptions import DESCRIPTIONS
from clipsweep.orchestrator.study.schema import Study

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SECTIONS = {  # keys of each section's schema, and where they stand in a study
    "Study": "",
    "ModelSection": "model",
    "StudyTaskSection": "task",
    "WeightedSection": "task.weighted",
    "DefinitionSection": "task.definition",
    "DataSection": "task.definition.data",
    "SplitsSection": "task.definition.splits",
    "HarnessSection": "task.lm_eval",
    "TextSection": "task.text",
    "TextSplitsSection": "task.text.splits",
    "SpaceSection": "space",
    "ChosenLayers": "space.layers",
    "RatesSection": "space.clip_rates",
    "ClipsSection": "space.clips",
    "SearchSection": "search",
    "GuardSection": "search.guard",
    "ScreenSection": "search.screen",
    "ClusterSection": "cluster",
}


def study_schema() -> dict[str, Any]:
    """The schema, as JSON holds it.

    It admits what a file may hold: one value for a list of one, a task's definition in a file of its own, a list of
    ``tasks``, and keys that are only given on the command line.
    """
    schema = Study.model_json_schema()
    sections = {"Study": schema, **schema["$defs"]}
    for name, prefix in SECTIONS.items():
        _describe(sections[name], prefix)
    schema["properties"]["tasks"] = {"description": DESCRIPTIONS["tasks"], **_one_or_list({"type": "string"}, {})}
    schema["required"] = []  # what is missing may be given by --set
    sections["ModelSection"].pop("required")
    for task in ("StudyTaskSection", "WeightedSection"):
        sections[task].pop("required")
        for key in ("definition", "lm_eval", "text"):
            _admit_text(sections[task]["properties"][key])
    return {"$schema": DIALECT, **schema, "title": "clipsweep study"}


def _describe(section: dict[str, Any], prefix: str) -> None:
    """Give each key its sentence, and let one value stand for a list of one."""
    for key, held in section["properties"].items():
        dotted = f"{prefix}.{key}" if prefix else key
        section["properties"][key] = {**_widened(held), "description": DESCRIPTIONS[dotted]}


def _widened(held: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a value that admits one item where it admits a list of one."""
    if "anyOf" in held:
        return {**held, "anyOf": [_widened(each) for each in held["anyOf"]]}
    if held.get("type") == "array" and held.get("minItems", 0) <= 1:
        return _one_or_list(held["items"], held)
    return dict(held)


def _one_or_list(item: Mapping[str, Any], array: Mapping[str, Any]) -> dict[str, Any]:
    beside = {key: value for key, value in array.items() if key in {"default", "title"}}
    bare = {key: value for key, value in array.items() if key not in beside}
    return {**beside, "anyOf": [{"type": "array", "items": dict(item), **bare}, dict(item)]}


def _admit_text(section: dict[str, Any]) -> None:
    """Admit the path of a file, or a name, where a section stands."""
    section["anyOf"].append({"type": "string"})
