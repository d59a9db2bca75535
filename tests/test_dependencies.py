"""What pyproject.toml admits: both ends of each dependency's range are named, and the locked version lies inside."""

import re
import tomllib
import warnings
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.models.find_layout import find_layout
from tests.trials.architectures import ARCHITECTURES, build_model

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = {each.name: each for each in map(Requirement, PROJECT["dependencies"])}
LOCKED = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_a_dependency_has_a_lowest_and_a_first_version_that_is_too_new(name: str) -> None:
    assert {each.operator for each in REQUIREMENTS[name].specifier} == {">=", "<"}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_the_locked_version_is_admitted(name: str) -> None:
    assert REQUIREMENTS[name].specifier.contains(LOCKED[canonicalize_name(name)])


@pytest.mark.parametrize("name", sorted({*ARCHITECTURES} - {"openai-gpt"}))  # which is not run block by block
def test_nothing_of_transformers_is_used_that_it_will_take_away(name: str) -> None:
    model = build_model(name)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("error", FutureWarning)
        decoder = Decoder(model, find_layout(model))
        ids = torch.tensor([[1, 2, 3]])
        decoder.open(ids, torch.ones_like(ids))
        model(ids, attention_mask=torch.ones_like(ids))
