from pathlib import Path

import yaml

from clipsweep.trials.export.model_card import again, model_card, public_name
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


def test_the_evidence_stands_in_the_card(tmp_path: Path) -> None:
    assert "## Scores\n\nvery good\n" in model_card(RECIPE, tmp_path, tmp_path, ["## Scores", "", "very good", ""])


def test_a_folder_is_known_by_its_name_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert public_name(str(tmp_path / "mine")) == "mine"
    assert public_name("EleutherAI/gpt-j-6b") == "EleutherAI/gpt-j-6b"
