from pathlib import Path

from tests.orchestrator.commands.typed import json_of


def test_doctor_looks_at_every_package(cache: Path) -> None:
    names = {check["check"] for check in json_of("doctor")}
    assert {"python", "torch", "ray", "cache", "GPUs", "embedded model"} <= names
