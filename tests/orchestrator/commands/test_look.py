from pathlib import Path

import pytest

from tests.orchestrator.commands.typed import json_of


def test_doctor_looks_at_every_package(cache: Path) -> None:
    names = {check["check"] for check in json_of("doctor")}
    assert {"clipsweep", "python", "platform", "torch", "ray", "optuna", "cache", "GPUs", "embedded model"} <= names


def test_doctor_names_what_the_environment_says_and_no_password(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://me:secret@hub.example")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    [found] = [check["found"] for check in json_of("doctor") if check["check"] == "environment"]
    assert f"CLIPSWEEP_CACHE={cache}" in found
    assert "HF_ENDPOINT=https://...@hub.example" in found
    assert "secret" not in found
