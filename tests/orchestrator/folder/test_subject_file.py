import json
from pathlib import Path

from clipsweep.orchestrator.folder.subject_file import read_subject, write_subject
from tests.orchestrator.space.spaces import make_subject
from tests.trials.models.test_card import CARD, MIXTURE


def test_a_subject_is_the_same_when_read_back(tmp_path: Path) -> None:
    write_subject(tmp_path / "identity.json", make_subject(MIXTURE))
    assert read_subject(tmp_path / "identity.json") == make_subject(MIXTURE)


def test_a_subject_written_before_mixtures_is_read(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    write_subject(path, make_subject(CARD))
    content = json.loads(path.read_text())
    content["card"].pop("experts_per_token")
    content["card"]["shapes"] = [row[:4] for row in content["card"]["shapes"]]
    path.write_text(json.dumps(content))
    assert read_subject(path) == make_subject(CARD)


def test_where_there_is_no_file_there_is_no_subject(tmp_path: Path) -> None:
    assert read_subject(tmp_path / "identity.json") is None
