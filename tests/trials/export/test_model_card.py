from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from clipsweep.trials.export.model_card import again, model_card, public_name, words_of
from clipsweep.trials.export.recipe import Recipe
from clipsweep.trials.spec.clip import Clip

RECIPE = Recipe(
    model="EleutherAI/gpt-j-6b",
    revision="main",
    model_fingerprint="0" * 32,
    clips=(Clip(layer=26, module="mlp", clip_rate=0.95), Clip(layer=27, module="q", clip_rate=0.5)),
    dtype="float16",
    written_as="float16",
)


def test_a_hub_name_is_the_base_model_of_the_header(tmp_path: Path) -> None:
    header = model_card(RECIPE, tmp_path, tmp_path / "out", []).split("---\n")[1]
    assert yaml.safe_load(header) == {
        "base_model": "EleutherAI/gpt-j-6b",
        "library_name": "transformers",
        "tags": ["clipsweep", "svd"],
    }


def test_the_command_that_makes_it_again_has_every_clip() -> None:
    assert again(RECIPE) == (
        "clipsweep apply --model EleutherAI/gpt-j-6b --revision main "
        "--clip layer=26,module=mlp,clip_rate=0.95,kind=svd "
        "--clip layer=27,module=q,clip_rate=0.5,kind=svd --dtype float16 --format dense -o OUT"
    )


def test_out_of_a_study_in_another_dtype_the_command_names_the_study() -> None:
    study = {"trial_ids": ["aaaa", "bbbb"]}
    assert again(replace(RECIPE, dtype="float32", study=study)) == (
        "clipsweep apply DIR --trial aaaa --dtype float16 --format dense -o OUT"
    )
    assert again(replace(RECIPE, study=study)) == again(RECIPE)


def test_a_rate_has_all_its_digits() -> None:
    clip = Clip(layer=0, module="q", clip_rate=0.12345678)
    assert words_of(clip) == "layer=0,module=q,clip_rate=0.12345678,kind=svd"


@pytest.mark.parametrize("header", [b"license: [mit", b"- a\n- list", b"license: caf\xe9", b"just text"])
def test_a_header_that_is_none_counts_as_none(header: bytes, tmp_path: Path) -> None:
    plain = model_card(RECIPE, tmp_path, tmp_path / "out", [])
    (tmp_path / "README.md").write_bytes(b"---\n" + header + b"\n---\n# Mine\n")
    assert model_card(RECIPE, tmp_path, tmp_path / "out", []) == plain


def test_the_evidence_stands_in_the_card(tmp_path: Path) -> None:
    assert "## Scores\n\nvery good\n" in model_card(RECIPE, tmp_path, tmp_path, ["## Scores", "", "very good", ""])


def test_a_folder_is_known_by_its_name_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert public_name(str(tmp_path / "mine")) == "mine"
    assert public_name("EleutherAI/gpt-j-6b") == "EleutherAI/gpt-j-6b"
