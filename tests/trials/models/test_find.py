import shutil
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
import pytest

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.models.find import find_checkpoint, find_config
from clipsweep.trials.models.settings import ModelSettings


def settings(path: Path | str, allow_bin: bool = False) -> ModelSettings:
    return ModelSettings(path=str(path), dtype="float32", allow_bin=allow_bin)


def test_a_missing_folder_is_refused_with_what_was_expected(cache: Path) -> None:
    with pytest.raises(ModelError, match="model.path is './nowhere': no such folder; expected a folder with config"):
        find_checkpoint(settings("./nowhere"), cache)


def test_a_hub_name_that_cannot_be_had_is_refused(cache: Path) -> None:
    with pytest.raises(ModelError, match="the hub did not give it"):
        find_checkpoint(settings("nobody/no-such-model"), cache)


def test_for_a_config_no_weights_of_a_hub_name_are_asked_for(
    tiny_gptj: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, list[str]]] = []

    def download(name: str, revision: str, allow_patterns: list[str]) -> str:
        asked.append((name, revision, allow_patterns))
        return str(tiny_gptj)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find_config(replace(settings("some/model"), revision="v1")) == tiny_gptj
    [(name, revision, patterns)] = asked
    assert (name, revision) == ("some/model", "v1")
    assert not [pattern for pattern in patterns if fnmatch("model.safetensors", pattern)]
    assert [pattern for pattern in patterns if fnmatch("config.json", pattern)]


def test_a_revision_of_a_folder_is_refused(tiny_gptj: Path, cache: Path) -> None:
    with pytest.raises(ModelError, match="model.revision is 'main', but .* is a folder; remove the revision"):
        find_checkpoint(replace(settings(tiny_gptj), revision="main"), cache)


def test_a_folder_without_config_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ModelError, match="has no config.json"):
        find_checkpoint(settings(tmp_path), cache)


def test_a_folder_of_thin_factors_is_refused(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    shutil.copy(tiny_gptj / "config.json", tmp_path / "config.json")
    (tmp_path / "clipsweep_factored.json").write_text("{}")
    with pytest.raises(ModelError, match="holds a model with thin factors; expected whole weights"):
        find_checkpoint(settings(tmp_path), cache)


def test_a_folder_without_weights_is_refused(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    shutil.copy(tiny_gptj / "config.json", tmp_path / "config.json")
    with pytest.raises(ModelError, match="has no weights; expected model.safetensors"):
        find_checkpoint(settings(tmp_path), cache)
