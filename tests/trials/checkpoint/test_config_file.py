import json
import os
from pathlib import Path
from typing import Any

import pytest

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.find import find_config
from clipsweep.trials.models.settings import ModelSettings
from tests.trials.checkpoint.folders import copy_of


def settings(folder: Path) -> ModelSettings:
    return ModelSettings(path=str(folder), dtype="float32")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[]", "config.json is not a config: it holds a list; expected a JSON mapping"),
        (b'"gptj"', 'it holds "gptj"'),
        (b"null", "it holds null"),
        (b"", "its JSON does not parse"),
        (b'{"model_type": "gptj"', "its JSON does not parse"),
        (b'{"model_type": "\xe9"}', "its JSON does not parse"),
        (b'{"a":' * 100_000, "it is nested too deeply"),
        (b'{"n_layer": 2, "n_layer": 3}', "the key 'n_layer' stands twice"),
        (b'{"n_layer": 1000000000}', "n_layer: 1000000000; expected at most 10000"),
    ],
)
def test_a_damaged_config_is_refused_in_one_sentence(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ModelError) as refused:
        find_config(settings(tmp_path))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_config_that_says_the_same_twice_passes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"n_layer": 2, "n_layer": 2}')
    assert find_config(settings(tmp_path)) == tmp_path


@pytest.mark.parametrize("value", ["four", [4], {"layers": 4}, 2.5, -1, None])
def test_a_config_value_of_another_type_is_refused(value: Any, tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    folder = copy_of(tiny_gptj, tmp_path / "odd", n_layer=value)
    with pytest.raises(ModelError) as refused:
        describe_checkpoint(folder, "float32", cache)
    assert "\n" not in str(refused.value)


def test_weights_elsewhere_are_refused(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    folder = copy_of(tiny_gptj, tmp_path / "elsewhere", transformers_weights="other.safetensors")
    with pytest.raises(ModelError, match="transformers_weights: 'other.safetensors'; expected no such key"):
        describe_checkpoint(folder, "float32", cache)


@pytest.mark.parametrize("value", [{"bits": 4}, "gptq", [1]])
def test_a_quantised_model_is_refused_whatever_its_config_says_of_it(
    value: Any, tiny_gptj: Path, tmp_path: Path
) -> None:
    folder = copy_of(tiny_gptj, tmp_path / "quantised", quantization_config=value)
    with pytest.raises(ModelError, match=r"is quantised \(by a method that it does not name\)"):
        find_config(settings(folder))


def test_a_link_to_a_config_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to(tmp_path / "gone.json")
    with pytest.raises(ModelError, match="config.json is a link to .*gone.json, which is not there"):
        find_config(settings(tmp_path))


def test_an_adapter_without_its_model_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="is an adapter and no model; .*merge_and_unload"):
        find_config(settings(tmp_path))


def test_a_folder_in_the_place_of_the_config_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(ModelError, match="has no config.json"):
        find_config(settings(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can take away its own rights and get them back")
def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({}))
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(ModelError, match="reading .* failed: permission denied.* Change its rights"):
            find_config(settings(tmp_path))
    finally:
        os.seteuid(0)
