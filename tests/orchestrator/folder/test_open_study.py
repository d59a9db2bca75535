import json
from pathlib import Path

from clipsweep.orchestrator.space.subject import Subject as Identity
from clipsweep.trials.models.card import ModelCard
from tests.trials.models.test_card import CARD, MIXTURE


def identity_of(card: ModelCard) -> Identity:
    return Identity(card=card, task_fingerprint="t", split_sizes={"validation": 20}, dropped={})


def test_an_identity_is_the_same_when_read_back(tmp_path: Path) -> None:
    identity_of(MIXTURE).write(tmp_path)
    assert Identity.read(tmp_path) == identity_of(MIXTURE)


def test_an_identity_written_before_mixtures_is_read(tmp_path: Path) -> None:
    identity_of(CARD).write(tmp_path)
    content = json.loads((tmp_path / "identity.json").read_text())
    content["card"].pop("experts_per_token")
    content["card"]["shapes"] = [row[:4] for row in content["card"]["shapes"]]
    (tmp_path / "identity.json").write_text(json.dumps(content))
    assert Identity.read(tmp_path) == identity_of(CARD)


def test_a_folder_without_an_identity_has_none(tmp_path: Path) -> None:
    assert Identity.read(tmp_path) is None
